"""Every stored message, fed four ways: whole, byte by byte, at random cuts, and with bytes behind it."""

import json
from pathlib import Path
from typing import Any

import pytest

from exporter.records.totals import DESYNC_REASONS
from tests.wire.follow import Part, Run, cuts, follow

VECTORS = Path(__file__).parent.parent / "vectors" / "http1"
CASES = sorted(VECTORS.glob("*/*.http"))
NEXT_REQUEST = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
NEXT_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def load(case: Path) -> tuple[bytes, dict[str, Any]]:
    return case.read_bytes(), json.loads(case.with_suffix(".expected.json").read_text())


def name(case: Path) -> str:
    return f"{case.parent.name}/{case.stem}"


def finish(run: Run, expected: dict[str, Any]) -> list[Part]:
    if expected.get("closes"):
        run.eof()
    return run.parts()


@pytest.mark.parametrize("case", CASES, ids=name)
def test_parts_do_not_depend_on_the_cuts(case: Path) -> None:
    """Each byte is in the part that the file tells, in every way to feed it."""
    raw, expected = load(case)
    assert "".join(part[-1] for part in expected["parts"] if part != ["end"]).encode("latin-1") == raw
    for way, pieces in cuts(raw, seed=len(raw)):
        for by_message in (False, True):
            run = follow(pieces, expected.get("methods"), by_message)
            assert finish(run, expected) == expected["parts"], way


@pytest.mark.parametrize("case", CASES, ids=name)
def test_bytes_behind_change_nothing_before(case: Path) -> None:
    """A further message is seen where it begins; behind a last word, or in a body, nothing new begins."""
    raw, expected = load(case)
    methods = expected.get("methods")
    more = NEXT_REQUEST if methods is None else NEXT_RESPONSE
    alone = follow([raw], methods)
    parts, ended = alone.parts(), alone.follower.idle
    for way, pieces in cuts(raw + more, seed=len(raw) + 1, times=2):
        found = follow(pieces, None if methods is None else [*methods, "GET"]).parts()
        known = len(parts) - 1
        if parts[-1] == ["end"] and ended:
            assert found[: known + 1] == parts, way
            behind = "".join(part[-1] for part in found[known + 1 :] if part != ["end"])
            assert behind.encode("latin-1") == more
            assert found[known + 1][0] in ("head", "desync")
        else:
            assert found[:known] == parts[:known], way


def test_every_reason_has_a_vector() -> None:
    """Each reason that a follower can give is shown by a file, and is one that is counted under its own name."""
    shown = {part[1] for case in CASES for part in load(case)[1]["parts"] if part[0] == "desync"}
    assert shown < set(DESYNC_REASONS)
    elsewhere = {"head_too_large", "pipeline_too_deep", "other_protocol", "follower_failed", "other"}
    assert shown == set(DESYNC_REASONS) - elsewhere


def test_every_vector_has_both_files() -> None:
    """No expectation without bytes, and enough of both directions."""
    assert {path.name.removesuffix(".expected.json") for path in VECTORS.glob("*/*.json")} == {
        path.stem for path in CASES
    }
    assert sum(case.parent.name == "requests" for case in CASES) >= 60
    assert sum(case.parent.name == "responses" for case in CASES) >= 40
