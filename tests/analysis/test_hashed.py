"""A profile whose categories are hashes: live categories are hashed with the same key before they are counted."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from exporter.analysis.engine import Engine
from exporter.analysis.kept import KeptSide
from exporter.analysis.known import Known
from exporter.analysis.window_report import gauges
from exporter.cli import main
from exporter.parts.references import References
from exporter.records.exchange import Exchange
from exporter.stats import CategoricalBins, Profile, load
from tests.analysis.world import BOUNDS, NOW, feed, found, v2
from tests.decode.exchanges import from_raw

CITIES = ["rome", "oslo", "Santiago de Compostela", "7", "h:0123456789abcdef"]


def rows(seed: int, count: int) -> list[tuple[str, float, float]]:
    rng = np.random.default_rng(seed)
    cities = rng.choice(CITIES, count, p=[0.3, 0.3, 0.2, 0.1, 0.1]).tolist()
    ages = np.round(rng.normal(40.0, 9.0, count), 3).tolist()
    return [(city, age, len(city) + age / 10) for city, age in zip(cities, ages, strict=True)]


def written(folder: Path, kind: str, key: bytes | None) -> Path:
    """A profile by the command, from rows in a file of that kind."""
    data, out = folder / f"rows.{kind}", folder / "profile.json"
    names = ("city", "age", "y")
    if kind == "csv":
        lines = [",".join(names), *(f"{city},{age},{y}" for city, age, y in rows(1, 2000))]
    else:
        lines = [json.dumps(dict(zip(names, row, strict=True))) for row in rows(1, 2000)]
    data.write_text("\n".join(lines) + "\n")
    told = ["profile", "--data", str(data), "--out", str(out), "--prediction", "y", "--model", "iris"]
    told += ["--hash-categories", "--features", "city,age"]
    if key is not None:
        (folder / "key").write_bytes(key + b"\n")
        told += ["--hash-key", str(folder / "key")]
    assert main(told) == 0
    return out


def as_json(part: list[tuple[str, float, float]]) -> Exchange:
    cities, ages, y = (list(column) for column in zip(*part, strict=True))
    return v2({"city": cities, "age": ages}, {"y": y})


def as_csv(part: list[tuple[str, float, float]]) -> Exchange:
    """As SageMaker sends it: columns have their places for names."""
    body = "\n".join(f"{city},{age}" for city, age, _ in part).encode()
    answer = "\n".join(str(y) for *_, y in part).encode()
    heads = (
        b"POST /invocations HTTP/1.1\r\ncontent-type: text/csv\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\n\r\n",
    )
    found = from_raw(heads[0] + body, heads[1] + answer)
    return msgspec.structs.replace(found, model_name="iris", model_version="1")  # as configured


def engine(profile: Profile) -> Engine:
    return Engine([profile], Known(model_name="iris", windows=(300.0,)), BOUNDS, NOW)


def told(made: Engine) -> tuple[float, float]:
    """PSI of the hashed column, and how many rows no category has."""
    samples = [*gauges(made.windows(NOW)), *made.snapshot(NOW).samples()]
    (psi,) = [v for k, v in found(samples, "model.drift").items() if k[3] == "city" and k[5] == "psi"]
    bins = found(samples, "model.feature.bin")
    unseen = [value for labels, value in bins.items() if labels[2] == "city" and labels[4] == "<unseen>"]
    return psi, sum(unseen)


@pytest.mark.parametrize("key", [b"secret", None])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_live_categories_are_those_of_the_reference(kind: str, key: bytes | None, tmp_path: Path) -> None:
    """From a CSV and from JSON lines, live rows in JSON and in CSV: no drift, nothing unseen, and no name anywhere."""
    place = written(tmp_path, kind, key)
    (profile,) = References([str(place)], hash_key=str(tmp_path / "key") if key else "").profiles
    for write in (as_json, as_csv):
        made = engine(profile)
        for start in range(0, 600, 20):
            feed(made, [write(rows(2, 600)[start : start + 20])])
        psi, unseen = told(made)
        assert psi < 0.06
        assert unseen == 0
        labels = {label for one in made.snapshot(NOW).samples() for label in one.labels}
        assert not labels & set(CITIES)
    closed = engine(load(place))  # without the key all but the one that looks like a hash would be unseen
    feed(closed, [as_json(rows(2, 600))])
    assert told(closed)[0] > 1.0


def test_another_key_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The profile is not used, and the reason says which key was expected; without hashes no key is asked for."""
    place = written(tmp_path, "csv", b"secret")
    (tmp_path / "other").write_bytes(b"wrong")
    for hash_key in ("", str(tmp_path / "other"), str(tmp_path / "none")):
        caplog.clear()
        assert References([str(place)], hash_key=hash_key).profiles == []
        assert "hash-key" in caplog.text or "No such file" in caplog.text
    profile = load(place)
    with pytest.raises(ValueError, match="expected the file of --hash-key"):
        profile.opened(b"wrong")
    opened = profile.opened(b"secret")
    assert (opened, opened.sha256) == (profile, profile.sha256)
    assert opened.opened(b"secret") == opened


def test_check_tells_of_the_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`modeltap check` reads it as the sidecar does."""
    place = written(tmp_path, "csv", b"secret")
    base = ["check", "--offline", "--upstream", "http://127.0.0.1:1", "--reference", str(place)]
    assert main([*base, "--hash-key", str(tmp_path / "key")]) == 0
    assert main(base) == 2
    assert main([*base, "--hash-key", str(tmp_path / "none")]) == 2
    problems = capsys.readouterr().err
    assert "expected the file of --hash-key" in problems
    assert "no such file; expected one with a key" in problems


def test_windows_that_outlive_a_restart_hash_on(tmp_path: Path) -> None:
    """What a snapshot says of columns does not tell the key: the profile does."""
    profile = load(written(tmp_path, "csv", b"secret")).opened(b"secret")
    first = engine(profile)
    feed(first, [as_json(rows(2, 400))])
    sides = [KeptSide(**head, windows=write()) for head, write in first.kept()]
    second = engine(profile)
    assert [second.restore(side, NOW) for side in sides] == [""] * len(sides)
    feed(second, [as_json(rows(3, 400))])
    psi, unseen = told(second)
    assert (psi < 0.06, unseen) == (True, 0)
    views = [side.windows[300.0] for state in second.windows(NOW) for side in state.sides]
    assert views[0].rows("city") == 800


def test_bins_that_hash() -> None:
    """Nulls stay null; a cell that is written as a hash is hashed too; numbers and texts have one form."""
    bins = CategoricalBins(("<7>", "<true>"), hashed=lambda text: f"<{text}>")
    cells = np.array(["7", 7, 7.0, True, None, "<7>", "x", ["list"]], object)
    assert bins.locate(cells).tolist() == [0, 0, 0, 1, 3, 2, 2, 2]
    assert bins.locate(np.array([7.0, np.nan])).tolist() == [0, 3]
    assert bins == CategoricalBins(("<7>", "<true>"))
