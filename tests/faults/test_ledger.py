"""The ledger finds what it is there to find: a difference in any book, any byte, any end."""

from collections import Counter

import pytest

from tests.faults.framings import ALL, CLOSE, LENGTH, WEBSOCKET, Framing
from tests.faults.ledger import Ledger, Outcome, Problem, Snapshot, undone, wrong_words
from tests.faults.test_toxics import ends

_LABELS = 'model_name="length",model_version="unknown",operation="predict",protocol="open_inference_v2"'


def scrape(count: int = 0, errors: int = 0, offered: int = 0, acknowledged: int = 0, **more: int) -> Snapshot:
    """A page with one label set, its versions apart."""
    other = _LABELS.replace("unknown", "7")
    lines = [
        f'model_request_duration_seconds_count{{{_LABELS},code="200"}} {count - count // 2}',
        f'model_request_duration_seconds_count{{{other},code="200"}} {count // 2}',
        f"model_response_size_bytes_count{{{_LABELS}}} {count}",
        f'model_request_errors_total{{{_LABELS},error_type="reset"}} {errors}',
        f"modeltap_records_offered_total {offered}",
        f"modeltap_records_acknowledged_total {acknowledged}",
        f'modeltap_records_dropped_total{{reason="sampled"}} {more.get("dropped", 0)}',
        f"modeltap_records_unacknowledged {more.get('unacknowledged', 0)}",
        f'model_requests_in_flight{{model_name="length"}} {more.get("in_flight", 0)}',
        f'modeltap_desyncs_total{{direction="request",reason="bare_lf"}} {more.get("desyncs", 0)}',
    ]
    return Snapshot.of("# HELP x\n" + "\n".join(lines) + "\n")


def entered(times: int) -> Ledger:
    """Some exchanges as they should be."""
    ledger = Ledger()
    ledger.exchange(LENGTH.labels, times=times)
    return ledger


def test_what_adds_up() -> None:
    """Exactly what was entered since the first scrape, whatever was there before, versions summed."""
    before, after = scrape(5, 1, 5, 5), scrape(8, 1, 8, 7, dropped=1)
    assert entered(3).problems(before, after) == []


@pytest.mark.parametrize("count", [2, 4])
def test_one_exchange_too_few_or_too_many(count: int) -> None:
    """Both are told, with what was expected."""
    found = entered(3).problems(scrape(), scrape(count, 0, count, count))
    assert any("exchanges" in line and "expected 3" in line for line in found)


def test_what_was_not_entered_must_not_be_counted() -> None:
    """An error, or a connection that went opaque, that nobody entered."""
    assert entered(3).problems(scrape(), scrape(3, 1, 3, 3)) != []
    assert entered(3).problems(scrape(), scrape(3, 0, 3, 3, desyncs=1)) != []


def test_an_error_code_is_an_error() -> None:
    """Of its own class, without saying so."""
    ledger = Ledger()
    ledger.exchange(LENGTH.labels, "413")
    assert any("4xx" in line for line in ledger.problems(scrape(), scrape()))


def test_telemetry() -> None:
    """Offered is acknowledged, dropped and under way; anything else is I5."""
    assert entered(3).problems(scrape(), scrape(3, 0, 3, 1, unacknowledged=2)) == []
    assert any("I5" in line for line in entered(3).problems(scrape(), scrape(3, 0, 3, 1, unacknowledged=1)))
    assert not scrape(in_flight=1).quiet
    assert scrape().quiet


@pytest.mark.parametrize(
    ("count", "errors", "right"), [(1, 0, False), (2, 1, True), (3, 2, False), (2, 2, False)]
)
def test_choices(count: int, errors: int, right: bool) -> None:
    """One that ended in one of two ways: one of them, and no more of either."""
    ledger = entered(1)
    ledger.either((LENGTH.labels, "200", "reset"), (LENGTH.labels, "none", "reset"))
    found = ledger.problems(scrape(), scrape(count, errors, count, count))
    assert (found == []) is right, found


def test_bounds_and_sums() -> None:
    """At least so many; so many in all; and books that are not looked at."""
    ledger = Ledger()
    ledger.at_least("desyncs", "request", "bare_lf", times=2)
    assert ledger.problems(scrape(), scrape(desyncs=1)) != []
    assert ledger.problems(scrape(), scrape(desyncs=3)) == []
    ledger = Ledger()
    ledger.some_of("exchanges", 2)
    ledger.free("sized")
    assert ledger.problems(scrape(), scrape(2)) == []
    assert ledger.problems(scrape(), scrape(3)) != []


async def test_bytes() -> None:
    """The beginning of what was sent is right, a byte too many or another one is not."""
    async with ends() as (client, model):
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n")
        model.received += b"POST / HTTP/1.1\r\nx-request-id: " + b"0" * 32 + b"\r\nHost: a\r\n"
        Ledger.carried(client, model)
        with pytest.raises(Problem, match="I1"):
            Ledger.carried(client, model, edited=False)
        with pytest.raises(Problem, match="to the model"):
            Ledger.carried(client, model, whole=True)
        client.received += b"x"
        with pytest.raises(Problem, match="to the client"):
            Ledger.carried(client, model)


def test_only_added_lines_are_undone() -> None:
    """Not one that is elsewhere, nor one with another value."""
    line = b"x-request-id: " + b"a" * 32 + b"\r\n"
    assert undone(b"GET / HTTP/1.1\r\n" + line + b"\r\n") == b"GET / HTTP/1.1\r\n\r\n"
    for kept in (b"GET / HTTP/1.1\r\nHost: a\r\n" + line, b"GET / HTTP/1.1\r\nx-request-id: a\r\n"):
        assert undone(kept) == kept


def test_once() -> None:
    """A request that came twice, and one that nobody sent."""
    Ledger.once(Counter({"t1": 1}), ["t1", "t2"])
    with pytest.raises(Problem, match="more than once"):
        Ledger.once(Counter({"t1": 2}), ["t1"])
    with pytest.raises(Problem, match="nobody sent"):
        Ledger.once(Counter({"t3": 1}), ["t1"])


def test_truth_and_parity() -> None:
    """A cut answer that looks whole, and an end that is another."""
    cut = LENGTH.answer[:-1]
    Ledger.truth(LENGTH, Outcome(cut, "fin"), Outcome(cut, "fin"))
    with pytest.raises(Problem, match="I3"):
        Ledger.truth(LENGTH, Outcome(LENGTH.answer, "fin"), Outcome(cut, "fin"))
    with pytest.raises(Problem, match="I3"):
        Ledger.truth(CLOSE, Outcome(CLOSE.answer, "fin"), Outcome(CLOSE.answer, "reset"))
    with pytest.raises(Problem, match="I8"):
        Ledger.same(Outcome(cut, "fin"), Outcome(cut, "reset"))


@pytest.mark.parametrize("framing", ALL, ids=lambda framing: framing.name)
def test_completeness(framing: Framing) -> None:
    """A whole answer is told from every shorter one, where its framing can tell."""
    assert framing.complete(framing.answer, "fin")
    assert not any(framing.complete(framing.answer[:end], "fin") for end in range(framing.head))
    if framing not in (CLOSE, WEBSOCKET):
        assert not any(framing.complete(framing.answer[:end], "fin") for end in range(len(framing.answer)))
    if framing is CLOSE:
        assert not framing.complete(framing.answer, "reset")
    assert framing.result(0, "fin") == ("none", "reset")


def test_words_of_a_fault() -> None:
    """What a log may not say."""
    assert wrong_words("fine\nINFO modeltap: draining\n") == []
    assert len(wrong_words("Traceback (most recent call last):\nTask exception was never retrieved\n")) == 2
