"""Observations that are pushed: stored bodies, their laws, and the bounds on what one body may hold."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.decode import pushed
from exporter.decode.pushed import EXPECTED, MAX_RECORDS, MAX_ROWS, REASONS, Record
from exporter.records.observation import Column, Observation, Undecodable
from tests.decode.cases import HOSTILE, JSON
from tests.decode.laws import NOW, pushes

VECTORS = Path(__file__).parent.parent / "vectors" / "pushed"
CASES = sorted(path for path in VECTORS.iterdir() if path.suffix in (".json", ".ndjson"))
FIELDS = (
    "features",
    "predictions",
    "ids",
    "id",
    "times",
    "time",
    "kinds",
    "model_name",
    "model_version",
    "x",
)


def _column(found: Column) -> dict[str, Any]:
    values = ["NaN" if cell != cell else cell for cell in found.values.tolist()]
    return {"name": found.name, "kind": found.kind, "values": values, "nulls": found.nulls}


def _observation(found: Observation) -> dict[str, Any]:
    told = {
        name: getattr(found, name) for name in ("rows", "time", "model_name", "model_version", "request_id")
    }
    sides = {side: [_column(one) for one in getattr(found, side)] for side in ("inputs", "outputs")}
    return told | sides


def _outcome(found: Record | str) -> Any:
    if isinstance(found, str):
        return found
    observations = [_observation(one) for one in found.observations]
    return {"rows": found.rows, "ids": list(found.ids), "observations": observations}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_vector(case: Path) -> None:
    """A stored body gives the stored records, each or the reason why it is refused."""
    expected = json.loads(case.with_suffix(".expected").read_text())
    try:
        found: Any = [_outcome(one) for one in pushes(case.read_bytes(), case.suffix == ".ndjson")]
    except Undecodable as refusal:
        found = {"undecodable": refusal.reason}
    assert found == expected


def test_every_reason_is_shown() -> None:
    """Each reason is that of a stored body, or of one in the tests below; each says what was expected."""
    shown = {
        reason for case in CASES for reason in _reasons(json.loads(case.with_suffix(".expected").read_text()))
    }
    below = {
        "too_many_records",
        "too_many_rows",
        "too_many_values",
        "too_many_columns",
        "too_deep",
        "too_sparse",
    }
    assert shown | below == set(REASONS)
    assert all(text and not text.endswith(".") for text in EXPECTED.values())


def _reasons(expected: Any) -> set[str]:
    return (
        set(expected.values())
        if isinstance(expected, dict)
        else {one for one in expected if isinstance(one, str)}
    )


BOUNDS = {
    "too_many_rows": b'{"features":{"a":[%s]}}' % b",".join([b"1"] * (MAX_ROWS + 1)),
    "too_many_columns": b'{"features":{%s}}' % b",".join(b'"k%d":[1]' % index for index in range(5000)),
    "too_sparse": b'{"features":[%s]}' % b",".join(b'{"k%d":1}' % index for index in range(500)),
    "too_deep": b'{"features":[%s1%s]}' % (b"[" * 20, b"]" * 20),
}


@pytest.mark.parametrize("reason", BOUNDS)
def test_bounds_of_a_record(reason: str) -> None:
    """What is over a bound is refused, and the record beside it is not."""
    assert pushes(b'[%s,{"features":{"a":[1]}}]' % BOUNDS[reason])[0] == reason
    kinds = BOUNDS[reason].replace(b'{"features"', b'{"kinds":{"k1":"numeric"},"features"', 1)
    first, second = pushes(kinds + b'\n{"features":{"a":[1]}}\n', lines=True)
    assert first in (reason, "bad_kind") and isinstance(second, Record)


@pytest.mark.parametrize("lines", [False, True])
def test_bounds_of_a_body(lines: bool) -> None:
    """So many records in a body, and no more: then none of it is taken."""
    one = b'{"predictions":1}'
    most = b"\n".join([one] * MAX_RECORDS) if lines else b"[%s]" % b",".join([one] * MAX_RECORDS)
    assert len(pushes(most, lines)) == MAX_RECORDS
    over = most + b"\n\n\n" + one if lines else most[:-1] + b"," + one + b"]"
    with pytest.raises(Undecodable, match="too_many_records"):
        pushes(over, lines)
    with pytest.raises(Undecodable, match="too_many_values"):
        pushes(b"[" * (1 << 20))


@given(body=st.binary(max_size=200), lines=st.booleans())
@settings(max_examples=200)
def test_any_bytes(body: bytes, lines: bool) -> None:
    """Any bytes end in records that keep their contract, or in a known reason."""
    pushes(body, lines, refusals=True)


@given(record=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5) | JSON)
@settings(max_examples=400)
def test_any_json(record: Any) -> None:
    """Any JSON in any field, alone and beside a good record, which is taken all the same."""
    body = json.dumps([record, {"features": {"a": 1}}]).encode()
    found = pushes(body)
    assert isinstance(found[1], Record)
    assert pushes(json.dumps(record).encode() + b"\n", lines=True)[0] == found[0] or isinstance(
        found[0], Record
    )


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: f"{value[:8]!r}")
def test_hostile_values(value: bytes) -> None:
    """Deep, sparse and wide values in any field end in bounded work."""
    for field in FIELDS:
        pushes(b'{"features":{"a":[1]},"%s":%s}' % (field.encode(), value), refusals=True)


TIMES = st.lists(st.floats(NOW - 1e7, NOW + 100, allow_nan=False), min_size=1, max_size=40)


@given(times=TIMES, gaps=st.lists(st.sampled_from([None, 1.5, float("nan")]), min_size=40, max_size=40))
@settings(max_examples=200)
def test_rows_that_differ_in_time(times: list[float], gaps: list[float | None]) -> None:
    """Parts hold every row once, in the minute that it tells or within a 256th of the span; nulls add up."""
    cells = gaps[: len(times)]
    record = {"features": {"n": list(range(len(times))), "x": cells}, "times": times}
    (found,) = pushes(json.dumps(record).encode())
    assert isinstance(found, Record)
    assert len(found.observations) <= 257
    width = max(60.0, (max(times) - min(times)) / 256)
    seen: dict[int, float] = {}
    for part in found.observations:
        numbers = next(column for column in part.inputs if column.name == "n")
        seen |= {int(place): part.time for place in numbers.values.tolist()}
    assert sorted(seen) == list(range(len(times)))
    assert all(0 <= times[place] - at <= width * 1.001 for place, at in seen.items())
    parts = [column for part in found.observations for column in part.inputs if column.name == "x"]
    assert sum(column.nulls for column in parts) == cells.count(None)
    assert sum(int(np.isnan(column.values).sum()) for column in parts) == len(cells) - cells.count(1.5)


PAGE = (Path(__file__).parents[2] / "docs" / "push.md").read_text()


def test_the_page_tells_every_field_and_reason() -> None:
    """docs/push.md has a line for each field, and each reason; its examples are taken."""
    fields = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert set(fields) == pushed.FIELDS and len(fields) == len(pushed.FIELDS)
    assert all(f"`{reason}`" in PAGE for reason in REASONS)
    (body,) = re.findall(r"-d '\n(.*?)'\n", PAGE, re.DOTALL)
    (found,) = pushes(body.encode())
    assert isinstance(found, Record) and found.rows == 2
