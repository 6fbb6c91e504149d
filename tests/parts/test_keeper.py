"""keeper.py: windows in a file, over a restart; files that cannot be used never stop the start."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from exporter.analysis.engine import Engine
from exporter.analysis.kept import KeptSide, packed, unpacked
from exporter.analysis.known import Known
from exporter.analysis.window_report import gauges
from exporter.parts.keeper import Keeper
from exporter.stats import Profile, SnapshotError
from tests.analysis.world import BOUNDS, NOW, feed, found, profile, v1, v2

KNOWN = Known(windows=(300.0, 3600.0), task="multiclass")
MANY = [v2({"age": [40.0 + n % 7], "city": ["rome"]}, {"label": [n % 3]}) for n in range(60)]


def engine(*profiles: Profile, known: Known = KNOWN) -> Engine:
    return Engine(profiles, known, BOUNDS, NOW)


def kept(folder: Path, made: Engine) -> dict[str, int]:
    """Saved; the outcomes of the keeper."""
    keeper = Keeper(str(folder), NOW)
    asyncio.run(keeper.save(made))
    return outcomes(keeper)


def restored(folder: Path, made: Engine, now: float = NOW) -> dict[str, int]:
    keeper = Keeper(str(folder), NOW)
    keeper.restore(made, now)
    return outcomes(keeper)


def outcomes(keeper: Keeper) -> dict[str, int]:
    values = found(keeper.samples(), "modeltap.window.snapshots")
    return {name: int(count) for (name,), count in values.items() if count}


@pytest.mark.parametrize("profiles", [(), (profile("iris", "1"),)], ids=["observed", "profiled"])
def test_windows_come_back_and_counters_do_not(tmp_path: Path, profiles: tuple[Profile, ...]) -> None:
    """All gauges are as before, of columns with a profile, without, and derived; everything that adds up is 0."""
    first, second = engine(*profiles), engine(*profiles)
    feed(first, MANY)
    texts = [{"n": 1.0, "t": "words of a text that has five", "at": "2024-01-01", "emb": 2.0}] * 3
    feed(first, [v1(texts, [[0.2, 0.3, 0.5]] * 3)])
    assert kept(tmp_path, first) == {"saved": 1}
    assert restored(tmp_path, second) == {"restored": 1}
    # Guessed tasks and the like begin anew; what rolls does not.
    assert gauges(second.windows(NOW)) == gauges(first.windows(NOW))
    assert found(gauges(second.windows(NOW)), "model.window.rows")["iris", "1", "", "age", "5m", "live"] == 60
    for family in ("model.feature.bin", "model.prediction.bin", "model.predictions"):
        assert not any(found(second.snapshot().samples(), family).values())
    feed(second, MANY)
    assert (
        found(gauges(second.windows(NOW)), "model.window.rows")["iris", "1", "", "age", "5m", "live"] == 120
    )
    assert sum(found(second.snapshot().samples(), "model.prediction.bin").values()) >= 60


def test_what_was_restored_is_kept_again_though_nothing_came(tmp_path: Path) -> None:
    """A second restart without traffic between has the windows still."""
    first, second, third = engine(), engine(), engine()
    feed(first, MANY)
    kept(tmp_path, first)
    restored(tmp_path, second)
    kept(tmp_path, second)
    restored(tmp_path, third)
    assert gauges(third.windows(NOW)) == gauges(first.windows(NOW))


def test_windows_that_are_over_are_left_out(tmp_path: Path) -> None:
    """A version that was last used longer ago than the longest window takes no room."""
    first, second = engine(), engine()
    feed(first, MANY)
    kept(tmp_path, first)
    assert restored(tmp_path, second, NOW + 3601) == {"restored": 1}
    assert second.windows(NOW) == ()


@pytest.mark.parametrize(
    "other",
    [
        engine(profile("iris", "1")),
        engine(known=Known(windows=(300.0,), task="multiclass")),
        Engine([], KNOWN, BOUNDS, NOW),
    ],
    ids=["profile", "lengths", "busy"],
)
def test_foreign_windows_are_set_aside(tmp_path: Path, other: Engine) -> None:
    """Of another reference, of other lengths, or for a version that has counted already."""
    first = engine()
    feed(first, MANY)
    kept(tmp_path, first)
    if not other.windows(NOW):
        feed(other, MANY)
    assert restored(tmp_path, other) == {"foreign": 1}
    assert (tmp_path / "windows.bad").exists()
    assert not (tmp_path / "windows").exists()


@pytest.mark.parametrize("seed", range(3))
def test_damaged_files_are_set_aside(tmp_path: Path, seed: int) -> None:
    """Cut short, changed anywhere, empty, or something else: corrupt, counted, and the engine is as it was."""
    first = engine()
    feed(first, MANY)
    kept(tmp_path, first)
    whole = (tmp_path / "windows").read_bytes()
    rng = np.random.default_rng(seed)
    place = int(rng.integers(len(whole)))
    changed = whole[:place] + bytes([whole[place] ^ 1 + int(rng.integers(255))]) + whole[place + 1 :]
    for raw in (whole[:place], changed, b"", b"{}", whole + b"x"):
        (tmp_path / "windows").write_bytes(raw)
        made = engine()
        assert restored(tmp_path, made) == {"corrupt": 1}
        assert made.windows(NOW) == ()
        assert (tmp_path / "windows.bad").read_bytes() == raw


def test_windows_inside_that_are_damaged_are_foreign_to_nobody_else(tmp_path: Path) -> None:
    """One side that cannot be read leaves the others."""
    first, second = engine(), engine()
    feed(first, MANY)
    kept(tmp_path, first)
    sides = unpacked((tmp_path / "windows").read_bytes())
    broken = [
        KeptSide(**{f: getattr(s, f) for f in s.__struct_fields__} | {"windows": b"?"}) for s in sides[:1]
    ]
    (tmp_path / "windows").write_bytes(packed([*broken, *sides[1:]]))
    assert restored(tmp_path, second) == {"foreign": 1}
    assert (
        found(gauges(second.windows(NOW)), "model.window.rows")["iris", "1", "label", "", "5m", "live"] == 60
    )


def test_a_file_that_ended_its_reader_is_not_read_again(tmp_path: Path) -> None:
    """It still has the name of a file being read; the next start sets it aside and begins empty."""
    (tmp_path / "windows.reading").write_bytes(b"whatever kills")
    made = engine()
    assert restored(tmp_path, made) == {"corrupt": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["windows.bad"]


def test_nothing_to_read_and_nowhere_to_write(tmp_path: Path) -> None:
    """A first start is no problem; a folder that is not there is counted, and nothing is raised."""
    assert restored(tmp_path, engine()) == {}
    assert kept(tmp_path / "missing", engine()) == {"failed": 1}
    off = Keeper("", NOW)
    off.restore(engine(), NOW)
    asyncio.run(off.save(engine()))
    assert list(off.samples()) == []


def test_content_of_another_form_is_refused() -> None:
    """A right checksum over something else."""
    with pytest.raises(SnapshotError, match="content"):
        unpacked(packed([1, 2]))  # type: ignore[list-item]


def test_the_file_is_private(tmp_path: Path) -> None:
    """Nobody else reads what categories there are."""
    kept(tmp_path, engine())
    assert (tmp_path / "windows").stat().st_mode & 0o777 == 0o600
