"""Stored exchanges and drawn ones, put to some dialects alone."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st

from exporter.decode import REASONS, Dialect, observe
from exporter.records.exchange import Exchange
from exporter.records.observation import Column, Observation, Undecodable
from tests.decode.exchanges import from_raw
from tests.decode.laws import keeps

VECTORS = Path(__file__).parent.parent / "vectors"
KNOWN = frozenset(REASONS)
KEYS = st.sampled_from(["a", "b", "a.b", "", "n" * 300])
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text('a1. "é\N{GRINNING FACE}', max_size=4)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
ROWS = st.lists(st.lists(SCALARS, min_size=2, max_size=2), max_size=4) | st.lists(SCALARS, max_size=4) | JSON
CELLS = st.sampled_from(["1", "-2.5", "1e400", "nan", "", " ", "NA", "x", '"q, ""r"""', "007", "true", "é"])
CSV = st.lists(st.lists(CELLS, min_size=2, max_size=2).map(",".join), max_size=4).map("\n".join)
# Values that look small and are not: deep, sparse, wide and long ones.
HOSTILE = (
    b"[" * 50_000,
    b"[" * 900 + b"NaN" + b"]" * 900,
    b"[" + b"{}," * 20_000 + b'{"a":1}]',
    b"[[" + b"1," * 63 + b"1]," + b"[]," * 20_000 + b"[]]",
    b"{" + b",".join(b'"k%d":1' % index for index in range(10_000)) + b"}",
    b"[{" + b",".join(b'"k%d":1' % index for index in range(10_000)) + b"}]",
    b"{" + b",".join(b'"k%d":[1,2]' % index for index in range(10_000)) + b"}",
    b"[" + b",".join(b"[[1],[%s]]" % b",".join([b"[]"] * 60) for _ in range(100)) + b"]",
)


def cases(name: str) -> list[Any]:
    """The stored exchanges of a folder of vectors, as parameters of a test."""
    return [pytest.param(path, id=path.stem) for path in sorted((VECTORS / name).glob("*.request"))]


def expected(case: Path) -> dict[str, Any]:
    """What is stored as the outcome of a stored exchange."""
    found: dict[str, Any] = json.loads(case.with_suffix(".expected.json").read_text())
    return found


def outcome(case: Path, *dialects: Dialect) -> dict[str, Any]:
    """What the dialects make of a stored exchange, in the form in which it is stored."""
    exchange = from_raw(case.read_bytes(), case.with_suffix(".response").read_bytes())
    try:
        found = observe(exchange, dialects)
    except Undecodable as refusal:
        assert refusal.reason in KNOWN
        return {"undecodable": refusal.reason}
    assert found.protocol == case.parent.name
    return {
        "rows": found.rows,
        "model_name": found.model_name,
        "model_version": found.model_version,
        "request_id": found.request_id,
        "inputs": [_column(one) for one in found.inputs],
        **told(found),
        "outputs": [_column(one) for one in found.outputs],
    }


def total(exchange: Exchange, *dialects: Dialect) -> None:
    """Fails unless the dialects give an Observation that keeps its contract, or a known reason."""
    try:
        found = observe(exchange, dialects)
    except Undecodable as refusal:
        assert refusal.reason in KNOWN
        return
    for side in (found.inputs, found.outputs):
        assert len({column.name for column in side}) == len(side)
    for column in (*found.inputs, *found.outputs):
        keeps(column, found.rows)


def told(found: Observation) -> dict[str, Any]:
    """What a generation tells, and not what it does not; nothing for other exchanges."""
    if found.generation is None:
        return {}
    fields = json.loads(msgspec.json.encode(found.generation))
    nothing = (None, False, 0, "", [])
    return {
        "generation": {
            name: value for name, value in fields.items() if value not in nothing or name == "whole"
        }
    }


def _column(found: Column) -> dict[str, Any]:
    absent = {"absent": found.absent} if found.absent else {}
    kept = {"name": found.name, "kind": found.kind, "values": found.values.tolist(), "nulls": found.nulls}
    return kept | absent
