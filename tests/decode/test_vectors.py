"""Every vector of every dialect: raw HTTP in, the expected Observation or reason out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.decode import DIALECTS, REASONS, observe
from exporter.records.observation import Column, Undecodable
from tests.decode.cases import told
from tests.decode.exchanges import from_raw

VECTORS = Path(__file__).parent.parent / "vectors"
NAMES = [dialect.NAME for dialect in DIALECTS]
CASES = sorted(path for name in NAMES for path in (VECTORS / name).glob("*.request"))


def column(found: Column) -> dict[str, Any]:
    absent = {"absent": found.absent} if found.absent else {}
    kept = {"name": found.name, "kind": found.kind, "values": found.values.tolist(), "nulls": found.nulls}
    return kept | absent


def outcome(case: Path) -> dict[str, Any]:
    exchange = from_raw(case.read_bytes(), case.with_suffix(".response").read_bytes())
    try:
        found = observe(exchange)
    except Undecodable as refusal:
        return {"undecodable": refusal.reason}
    assert found.protocol == case.parent.name
    return {
        "rows": found.rows,
        "model_name": found.model_name,
        "model_version": found.model_version,
        "request_id": found.request_id,
        "inputs": [column(one) for one in found.inputs],
        **told(found),
        "outputs": [column(one) for one in found.outputs],
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.stem}")
def test_vector(case: Path) -> None:
    """A stored exchange gives exactly the stored Observation, or the stored reason why not."""
    expected = json.loads(case.with_suffix(".expected.json").read_text())
    # assert_equal compares nested values exactly and takes NaN as equal to NaN.
    np.testing.assert_equal(outcome(case), expected)


@pytest.mark.parametrize("name", NAMES)
def test_dialect_has_evidence(name: str) -> None:
    """Each dialect of the tuple has at least twelve vectors, good and bad ones, with known reasons only."""
    results = [json.loads(path.read_text()) for path in (VECTORS / name).glob("*.expected.json")]
    reasons = {result["undecodable"] for result in results if "undecodable" in result}
    assert len(results) == len(list((VECTORS / name).glob("*.request"))) >= 12
    assert reasons < set(REASONS)
    assert any("rows" in result for result in results)


def test_dialect_names_are_unique() -> None:
    """No two dialects share a protocol label, and no reason is listed twice."""
    assert len(set(NAMES)) == len(NAMES)
    assert len(set(REASONS)) == len(REASONS)
