"""The delivering thread's counters and its hold on the SDK's log."""

import logging
import threading

import pytest

from exporter.publish.sender import LastWords, Sender, Tally
from exporter.records.sample import Sample


def test_tally_counts_declared_series_only() -> None:
    """Declared series exist at 0, others are refused."""
    tally = Tally("modeltap.spans.dropped", (("queue_full",), ("shutdown",)), 5.0)
    tally.add(("queue_full",), 2)
    assert list(tally.samples()) == [
        Sample("modeltap.spans.dropped", ("queue_full",), 2, 5.0),
        Sample("modeltap.spans.dropped", ("shutdown",), 0, 5.0),
    ]
    with pytest.raises(KeyError):
        tally.add(("other",))


def test_the_sdk_log_is_held_and_given_back() -> None:
    """While a sender runs the SDK's records stay out of the log; afterwards they are passed on as before."""
    sdk = logging.getLogger("opentelemetry.exporter.any")
    with LastWords(threading.get_ident()) as first:
        with LastWords(-1) as other:
            sdk.warning("refused by %s", "it")
        assert not logging.getLogger("opentelemetry").propagate
        assert (first.text, other.text) == ("refused by it", "")
    assert logging.getLogger("opentelemetry").propagate


def test_the_last_word_is_a_reason() -> None:
    """That no other attempt follows is none, unless nothing else was said."""
    sdk = logging.getLogger("opentelemetry.exporter.any")
    with LastWords(threading.get_ident()) as words:
        for said in ("Transient error: no route", "Failed due to timeout, max retries or shutdown."):
            sdk.warning(said)
        assert words.text == "Transient error: no route"
        words.text = ""
        sdk.error("Failed due to timeout, max retries or shutdown.")
        assert words.text.startswith("Failed")


class Recorder:
    """A connection that fails on demand."""

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.closed = 0

    def send(self, batch: int) -> bool:
        """Even batches arrive, odd ones do not, 5 raises."""
        self.sent.append(batch)
        if batch == 5:
            raise OSError("cable cut")
        return batch % 2 == 0

    def refused(self) -> tuple[int, str]:
        """One item of each batch of 4 and more."""
        return (1, "too old") if self.sent[-1] >= 4 else (0, "")

    def close(self) -> None:
        """Count."""
        self.closed += 1


def test_each_batch_is_delivered_once_and_told(caplog: pytest.LogCaptureFixture) -> None:
    """Batches go out in order, each outcome is told and counted, and the log has one line per change of state."""
    recorder, told = Recorder(), list[tuple[int, bool]]()
    batches = iter([2, 4, 1, 3, 5, 6])
    sender: Sender[int] = Sender(
        "traces",
        5.0,
        lambda: recorder,
        lambda: next(batches, None),
        lambda batch, arrived: told.append((batch, arrived)),
    )
    with caplog.at_level(logging.INFO):
        sender.start()
        assert sender.stop(10)
    assert told == [(2, True), (4, True), (1, False), (3, False), (5, False), (6, True)]
    assert recorder.closed == 1
    assert [sample.value for sample in sender.samples()] == [3, 3, 2]
    assert [record.getMessage() for record in caplog.records if "part" in record.getMessage()] == [
        "OTLP traces: the collector refuses a part: 1 items: too old",
        "OTLP traces: the collector refuses a part: 1 items: too old",
    ]
    others = [record.levelname for record in caplog.records if "part" not in record.getMessage()]
    assert others == ["INFO", "WARNING", "INFO"]


def test_a_first_export_that_raises_leaves_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """What is raised is logged with its traceback, and again as the reason of the failing exports."""
    batches = iter([5, 5])
    sender: Sender[int] = Sender("traces", 5.0, Recorder, lambda: next(batches, None), lambda *_: None)
    sender.start()
    assert sender.stop(10)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert caplog.records[0].exc_info is not None
    assert "OSError: cable cut" in caplog.records[1].getMessage()
