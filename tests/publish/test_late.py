"""late.py: which exchanges get a span after all, and what is on it."""

import pytest

from exporter.publish.late import MAX_KEYS, WARM_UP, Late
from exporter.publish.server_span import Decoded, Span
from exporter.records.exchange import ERROR_OWNERS, Exchange

from .everything import CREATED
from .exchanges import EXCHANGE, START, TRACE, changed

DECODED = Decoded("decoded", 3)
MILLISECOND = 1_000_000
PARENT = b"traceparent: 00-%s-%s-00\r\n" % (b"ab" * 16, b"cd" * 8)


def unsampled(**fields: object) -> Exchange:
    """An exchange without a trace."""
    return changed(trace=None, **fields)


def counts(late: Late) -> dict[str, float]:
    """What is not 0."""
    return {sample.labels[0]: float(str(sample.value)) for sample in late.samples() if sample.value}


def warm(late: Late, **fields: object) -> list[Span]:
    """Exchanges of 10 to 19 ms, each in a second of its own, more than the warm-up."""
    durations = [(10 + place % 10) * MILLISECOND for place in range(WARM_UP * 5)]
    spans = [
        late.span(unsampled(start=START + place * 10**9, duration=duration, **fields), DECODED)
        for place, duration in enumerate(durations)
    ]
    return [span for span in spans if span is not None]


def test_sampled_ones_are_spans_as_before() -> None:
    """Also where late spans are off; they count as none."""
    for late in (Late(0, CREATED), Late(1, CREATED)):
        span = late.span(EXCHANGE, DECODED)
        assert span is not None
        assert (span.trace, span.decoded) == (TRACE, "decoded")
        assert "modeltap.sampled" not in span.attributes
        assert counts(late) == {}


@pytest.mark.parametrize("error_type", [*ERROR_OWNERS, ""])
def test_failures_of_the_server_and_the_sidecar(error_type: str) -> None:
    """Are kept and marked; what the client did is not."""
    late = Late(5, CREATED)
    span = late.span(unsampled(error_type=error_type, status=500), Decoded("not_2xx"))
    assert (span is not None) is (ERROR_OWNERS.get(error_type) in ("server", "sidecar"))
    if span is not None:
        assert span.attributes["modeltap.sampled"] == "late"
        assert (len(span.trace.trace_id), len(span.trace.span_id), span.trace.parent_id) == (32, 16, "")
        assert span.error
        assert counts(late) == {"error": 1}


def test_off_by_default() -> None:
    """0 chooses none and shows no counter."""
    late = Late(0, CREATED)
    assert late.span(unsampled(error_type="reset"), DECODED) is None
    assert list(late.samples()) == []


def test_the_trace_of_the_caller() -> None:
    """An unsampled parent gives trace id and parent; a malformed one nothing."""
    late = Late(5, CREATED)
    head = EXCHANGE.request_head
    for line, trace, parent in (
        (PARENT, "ab" * 16, "cd" * 8),
        (PARENT.replace(b"00-", b"ff-", 1), None, ""),
        (PARENT.replace(b"ab", b"00"), None, ""),
        (PARENT.replace(b"ab", b"AB"), None, ""),
    ):
        changed_head = head.replace(b"\r\n", b"\r\n" + line, 1)
        span = late.span(unsampled(error_type="reset", request_head=changed_head), DECODED)
        assert span is not None
        assert span.trace.parent_id == parent
        assert trace is None or span.trace.trace_id == trace


def test_the_slowest_are_chosen() -> None:
    """Of 10 to 19 ms few are; 100 ms is; of a model whose usual time is 100 ms it is not."""
    late = Late(5, CREATED)
    assert len(warm(late)) < WARM_UP * 5 * 0.05
    later = START + 10**13
    assert late.span(unsampled(start=later, duration=12 * MILLISECOND), DECODED) is None
    slow = late.span(unsampled(start=later, duration=100 * MILLISECOND), DECODED)
    assert slow is not None
    assert not slow.error
    assert counts(late)["slow"] >= 1


def test_the_share_of_slow_ones() -> None:
    """About one of a hundred is above the estimate, also after the level has changed tenfold."""
    late = Late(10_000, CREATED)
    chosen = []
    for place in range(20_000):
        level = 1 if place < 10_000 else 10
        duration = (1000 + (place * 7919) % 1000) * 10_000 * level
        span = late.span(unsampled(start=START + place, duration=duration), DECODED)
        chosen.append(span is not None)
    assert 0.003 < sum(chosen[5000:10_000]) / 5000 < 0.03
    assert 0.003 < sum(chosen[15_000:]) / 5000 < 0.03


def test_nobody_is_slow_at_first() -> None:
    """Before the warm-up nothing is known."""
    late = Late(1000, CREATED)
    found = [late.span(unsampled(duration=place * MILLISECOND), DECODED) for place in range(1, WARM_UP + 1)]
    assert found == [None] * WARM_UP


def test_the_ceiling() -> None:
    """Over it they are counted; the next second has its own."""
    late = Late(2, CREATED)
    second = START // 10**9 * 10**9
    for start in (second, second, second, second + 10**9):
        late.span(unsampled(error_type="reset", start=start, duration=1), DECODED)
    assert counts(late) == {"error": 3, "limited": 1}


def test_probes_and_keys_over_the_bound() -> None:
    """Probes get none; of what is over the bound only failures do."""
    late = Late(1000, CREATED)
    assert late.span(unsampled(operation="health", error_type="5xx"), DECODED) is None
    for number in range(MAX_KEYS + 1):
        late.span(unsampled(model_name=f"m{number}"), DECODED)
    assert warm(late, model_name="over") == []
    assert len(late._levels) == MAX_KEYS
    assert late.span(unsampled(model_name="over", error_type="5xx"), DECODED) is not None
