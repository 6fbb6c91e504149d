"""Feedback: stored bodies and what they say; bounds; bodies that nobody meant."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.decode import feedback, seldon_feedback
from exporter.decode.feedback import EXPECTED, MAX_CLASSES, MAX_ITEMS, REASONS, decode
from exporter.decode.moments import MAX_AHEAD_SECONDS
from exporter.records.feedback import Feedback
from exporter.records.observation import Undecodable
from tests.decode.cases import HOSTILE, JSON
from tests.decode.exchanges import exchange

NOW = 1_750_000_000.0
VECTORS = Path(__file__).parent.parent / "vectors" / "feedback"
FORMS = {".json": "json", ".ndjson": "lines", ".csv": "csv"}
CASES = sorted(path for path in VECTORS.iterdir() if path.suffix in FORMS)
BELOW = {"too_many_items", "too_many_labels", "too_many_values", "too_deep"}


def written(one: Feedback) -> dict[str, Any]:
    """The fields that say something."""
    told = {name: getattr(one, name) for name in Feedback.__struct_fields__}
    bare = {
        "time": NOW,
        "row": 0,
        "output": "",
        "source": "",
        "weight": 1.0,
        "grades": (),
        "receipt": "",
        "groups": (),
        "outcomes": (),
    }
    return json.loads(json.dumps({name: value for name, value in told.items() if value != bare.get(name)}))


def outcome(body: bytes, form: str) -> Any:
    try:
        found = decode(body, form, NOW)
    except Undecodable as refusal:
        return {"undecodable": refusal.reason}
    return [one if isinstance(one, str) else [written(label) for label in one] for one in found]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_vector(case: Path) -> None:
    """A stored body gives the stored labels, item by item, each or the reason why it is refused."""
    expected = json.loads(case.with_suffix(".expected").read_text())
    assert outcome(case.read_bytes(), FORMS[case.suffix]) == expected


def test_every_reason_is_shown() -> None:
    """Each reason is that of a stored body, or of one in the tests below; each says what was expected."""
    told = [json.loads(case.with_suffix(".expected").read_text()) for case in CASES]
    whole = {one["undecodable"] for one in told if isinstance(one, dict)}
    items = {item for one in told if isinstance(one, list) for item in one if isinstance(item, str)}
    assert whole | items | BELOW == set(REASONS)
    assert all(text and not text.endswith(".") for text in EXPECTED.values())


@pytest.mark.parametrize(
    ("body", "form", "reason"),
    [
        (b"[" + b"1," * MAX_ITEMS + b"1]", "json", "too_many_items"),
        (b"1\n" * (MAX_ITEMS + 1), "lines", "too_many_items"),
        (b"id\n" + b"a\n" * (MAX_ITEMS + 1), "csv", "too_many_items"),
        (b'{"id":"a","labels":[' + b"1," * 100_000 + b"1]}", "json", "too_many_labels"),
        (b"[" * 600_000, "json", "too_many_values"),
    ],
)
def test_bounds(body: bytes, form: str, reason: str) -> None:
    """What is too much is refused as a whole."""
    assert outcome(body, form) == {"undecodable": reason}


def test_a_label_has_few_classes() -> None:
    """And an item that has more costs no other one."""
    body = json.dumps([{"id": "a", "label": ["x"] * (MAX_CLASSES + 1)}, {"id": "b", "label": 1}]).encode()
    assert outcome(body, "json") == ["too_many_labels", [{"id": "b", "label": 1.0}]]


@settings(max_examples=150)
@given(st.sampled_from(("json", "lines", "csv")), st.sampled_from(HOSTILE) | st.binary(max_size=200))
def test_any_bytes(form: str, body: bytes) -> None:
    """Labels or known reasons, whatever the bytes are."""
    laws(body, form)


@settings(max_examples=150)
@given(st.lists(st.dictionaries(st.sampled_from(sorted(feedback._FIELDS)), JSON, max_size=6), max_size=4))
def test_any_fields(items: list[dict[str, Any]]) -> None:
    """The right names with any values."""
    laws(json.dumps(items).encode("utf-8", "surrogatepass"), "json")


def laws(body: bytes, form: str) -> None:
    try:
        found = decode(body, form, NOW)
    except Undecodable as refusal:
        assert refusal.reason in REASONS
        return
    for one in found:
        if isinstance(one, str):
            assert one in REASONS
            continue
        for label in one:
            assert 0 < len(label.id) <= feedback.MAX_ID and label.row >= 0
            assert 0 < label.time <= NOW + MAX_AHEAD_SECONDS and label.weight > 0


def seldon(body: object, status: int = 200) -> Any:
    found = exchange("/api/v1.0/feedback", json.dumps(body).encode(), b"{}", status=status)
    if not seldon_feedback.claims(found):
        return None
    try:
        return [(one.id, one.row, one.label, one.source, one.time) for one in seldon_feedback.decode(found)]
    except Undecodable as refusal:
        return refusal.reason


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"response": {"meta": {"puid": "p1"}}, "truth": {"data": {"ndarray": [[1], [0.5], None]}}},
            [("p1", 0, 1.0), ("p1", 1, 0.5)],
        ),
        (
            {
                "request": {"meta": {"puid": "p2"}},
                "truth": {"data": {"tensor": {"shape": [1, 1], "values": [3]}}},
            },
            [("p2", 0, 3.0)],
        ),
        ({"response": {"meta": {"puid": "p"}}, "reward": 1.0}, "missing_field"),
        ({"truth": {"data": {"ndarray": [[1]]}}}, "bad_id"),
        ({"response": {"meta": {"puid": "p"}}, "truth": {"data": {"ndarray": 3}}}, "missing_field"),
        ([], "wrong_type"),
    ],
)
def test_seldon(body: object, expected: object) -> None:
    """Feedback that passes through: the answer's puid, and a label for each row of the truth."""
    found = seldon(body)
    assert (found if isinstance(found, str) else [one[:3] for one in found]) == expected


def test_seldon_feedback_that_the_model_refused() -> None:
    """It says nothing."""
    assert (
        seldon({"response": {"meta": {"puid": "p"}}, "truth": {"data": {"ndarray": [1]}}}, status=500) is None
    )
