"""historian.py: the history in a file; one that cannot be used never stops the start."""

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.analysis.historian import LARGEST, RETRY_SECONDS, Historian
from exporter.analysis.history import History, KeptDescription, KeptModel, KeptServer, packed, unpacked
from exporter.analysis.kept import checked
from exporter.stats import SnapshotError

NOW = 1_700_000_000.0
PAST = History(
    "fraud",
    (KeptModel("fraud", "2", 10.0, ("1", "2"), True),),
    KeptServer(True, None),
    (KeptDescription("/m/modeltap.json", {"training": "ab" * 32}),),
    {"/m/weights": "cd" * 32},
)


def outcomes(historian: Historian) -> dict[str, float]:
    """Those that came."""
    return {one.labels[0]: one.value for one in historian.samples() if one.value}  # type: ignore[misc]


def saved(folder: Path, history: History = PAST) -> Historian:
    historian = Historian(str(folder), history.identity, NOW)
    historian.save(history, NOW)
    return historian


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    """And is not written again until it changes; nobody else may read the file."""
    assert outcomes(saved(tmp_path)) == {"saved": 1}
    assert (tmp_path / "history").stat().st_mode & 0o077 == 0
    again = Historian(str(tmp_path), "fraud", NOW)
    assert again.restore() == PAST
    assert outcomes(again) == {"restored": 1}
    assert not again.due(PAST, NOW)
    assert again.due(History("fraud"), NOW)


def test_nothing_is_there_or_wanted(tmp_path: Path) -> None:
    """A first start; and no folder at all: no family."""
    assert Historian(str(tmp_path), "fraud", NOW).restore() == History("fraud")
    off = Historian("", "fraud", NOW)
    assert off.restore() == History("fraud")
    assert not off.due(PAST, NOW)
    assert list(off.samples()) == []


def test_the_past_of_another_model_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is counted and told, and its bytes are there to look at."""
    saved(tmp_path)
    other = Historian(str(tmp_path), "iris", NOW)
    assert other.restore() == History("iris")
    assert outcomes(other) == {"foreign": 1}
    assert unpacked((tmp_path / "history.bad").read_bytes()) == PAST
    assert not (tmp_path / "history").exists()
    assert "it is of 'fraud', and this is 'iris'" in caplog.text


@given(cut=st.integers(0, len(packed(PAST)) - 1), flip=st.integers(1, 255))
def test_damage_is_seen(cut: int, flip: int) -> None:
    """Wherever it is cut, changed or longer."""
    whole = packed(PAST)
    for raw in (whole[:cut], whole[:cut] + bytes([whole[cut] ^ flip]) + whole[cut + 1 :], whole + b"x"):
        with pytest.raises(SnapshotError):
            unpacked(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        packed(PAST)[:-1],
        checked(b"modeltap history 2\n", PAST),
        checked(b"modeltap history 1\n", {"identity": 3}),
        checked(b"modeltap history 1\n", [[[]]]),
        b"x" * (LARGEST + 1),
    ],
    ids=["empty", "cut", "another form", "another type", "no object", "too large"],
)
def test_other_content_is_corrupt(tmp_path: Path, raw: bytes) -> None:
    """Damage, a right checksum of something else, and what is too large to be read: set aside, an empty past."""
    (tmp_path / "history").write_bytes(raw)
    historian = Historian(str(tmp_path), "fraud", NOW)
    assert historian.restore() == History("fraud")
    assert outcomes(historian) == {"corrupt": 1}
    assert (tmp_path / "history.bad").read_bytes() == raw


def test_an_error_names_what_was_expected() -> None:
    """Of bytes that are not ours."""
    with pytest.raises(SnapshotError, match="modeltap history 1"):
        unpacked(b"PK")


def test_a_folder_that_cannot_be_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One line of the log, a count for each attempt, and one attempt a minute."""
    caplog.set_level(logging.WARNING)
    (tmp_path / "file").write_text("")
    historian = Historian(str(tmp_path / "file"), "fraud", NOW)
    assert historian.restore() == History("fraud")
    historian.save(PAST, NOW)
    assert not historian.due(PAST, NOW + RETRY_SECONDS - 1)
    assert historian.due(PAST, NOW + RETRY_SECONDS)
    historian.save(PAST, NOW + RETRY_SECONDS)
    assert outcomes(historian) == {"failed": 3}
    assert len(caplog.records) == 1


def test_what_a_killed_one_left_half_written(tmp_path: Path) -> None:
    """Is not read, and is written over."""
    saved(tmp_path)
    (tmp_path / "history.part").write_bytes(packed(PAST)[:20])
    again = Historian(str(tmp_path), "fraud", NOW)
    assert again.restore() == PAST
    again.save(History("fraud"), NOW)
    assert not (tmp_path / "history.part").exists()
    assert Historian(str(tmp_path), "fraud", NOW).restore() == History("fraud")
