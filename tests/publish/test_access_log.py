"""The access log: what is chosen, a ledger that holds, readers that stop, leave and come back, and the end."""

import errno
import json
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.processes.logs import writer
from exporter.publish.access_log import DROP_REASONS, AccessLog
from exporter.publish.line_output import Descriptor, LogFile
from exporter.records.exchange import Exchange
from exporter.records.queue import share
from tests.publish.exchanges import EXCHANGE, changed
from tests.receivers.otlp import until

DEADLINE = 30.0


class Fake:
    """An output that does what the test says."""

    group_bytes = 4096

    def __init__(self, behave: Callable[[bytes], int] = len) -> None:
        self.behave = behave
        self.lines: list[dict[str, Any]] = []
        self.opened = 0

    def write(self, data: bytes) -> int:
        """As told."""
        size = self.behave(data)
        self.lines += [json.loads(line) for line in data[:size].splitlines()]
        return size

    def reopen(self) -> None:
        """Count it."""
        self.opened += 1

    def close(self) -> None:
        """Nothing."""


def told(log: AccessLog) -> dict[str, float]:
    """Its figures by name, and by reason those of what was dropped; the ledger is checked."""
    found = {}
    for sample in log.samples():
        assert isinstance(sample.value, int | float)
        found[".".join((sample.name.removeprefix("modeltap.access_log."), *sample.labels))] = sample.value
    lost = sum(found[f"dropped.{reason}"] for reason in DROP_REASONS)
    assert found["selected"] == found["written"] + lost + found["queue.length"]
    return found


def numbered(number: int, **fields: object) -> Exchange:
    """An exchange of its own."""
    return changed(request_id=f"r-{number}", **fields)


def test_every_exchange_gets_a_line(tmp_path: Path) -> None:
    """In order, once, with what became of its bodies; all counters are there from the start."""
    log = AccessLog(LogFile(str(tmp_path / "access"), 0), 1.0, 0.0)
    assert set(told(log).values()) == {0}
    log.start()
    log.start()
    for number in range(500):
        assert log.offer(numbered(number), "decoded", number)
    assert log.stop(DEADLINE)
    assert log.stop(0.0)
    found = [json.loads(line) for line in (tmp_path / "access").read_text().splitlines()]
    assert [(one["request_id"], one.get("rows", 0)) for one in found] == [(f"r-{n}", n) for n in range(500)]
    assert told(log)["written"] == 500


@given(st.floats(0, 1), st.lists(st.text(st.characters(max_codepoint=0x7E), max_size=8), max_size=50))
def test_a_share_by_request_id(sample: float, ids: list[str]) -> None:
    """The share is that of the whole analysis, by the same hash; what failed is always chosen."""
    log = AccessLog(Fake(), sample, 0.0, 1000)
    for one in ids:
        assert log.offer(changed(request_id=one)) is (share(one) < sample)
        assert log.offer(changed(request_id=one, error_type="5xx"))
    assert told(log)["selected"] == len(ids) + sum(share(one) < sample for one in ids)
    log.stop(0.0)


def test_a_share_that_changes() -> None:
    """`configure` holds for what comes, and has the file opened anew."""
    output = Fake()
    log = AccessLog(output, 1.0, 0.0)
    log.start()
    assert log.offer(EXCHANGE)
    log.configure(0.0)
    assert not log.offer(EXCHANGE)
    assert log.offer(numbered(1, error_type="abort"))
    assert log.stop(DEADLINE)
    assert output.opened == 1


def test_it_is_bounded() -> None:
    """Without a thread that takes lines the queue fills, refuses and counts; the end counts the rest."""
    log = AccessLog(Fake(), 1.0, 0.0, 3)
    assert [log.offer(EXCHANGE) for _ in range(5)] == [True] * 3 + [False] * 2
    assert (told(log)["queue.length"], told(log)["dropped.queue_full"]) == (3, 2)
    assert not log.stop(0.0)
    assert not log.offer(EXCHANGE)
    assert (told(log)["queue.length"], told(log)["dropped.shutdown"]) == (0, 4)


def test_a_standard_output_that_nobody_reads(caplog: pytest.LogCaptureFixture) -> None:
    """A full pipe fills the queue and nothing else; once somebody reads, every line that was kept comes, whole."""
    caplog.set_level(logging.INFO)
    reading, writing = os.pipe()
    log = AccessLog(Descriptor(writer(writing)), 1.0, 0.0, 400)
    log.start()
    offered = 0
    while told(log)["dropped.queue_full"] < 10:
        log.offer(numbered(offered))
        offered += 1
        assert offered < 1_000_000
    pieces: list[bytes] = []

    def read() -> None:
        while piece := os.read(reading, 1 << 16):
            pieces.append(piece)

    reader = threading.Thread(target=read)
    reader.start()
    assert until(lambda: told(log)["queue.length"] == 0, DEADLINE)
    assert log.stop(DEADLINE)
    os.close(writing)
    for place in os.listdir("/proc/self/fd"):
        # The log's own description of the pipe: its process would have ended.
        if _is(place, reading) and int(place) != reading:
            os.close(int(place))
    reader.join(DEADLINE)
    os.close(reading)
    found = [json.loads(line)["request_id"] for line in b"".join(pieces).splitlines()]
    assert len(found) == len(set(found)) == told(log)["written"] == offered - told(log)["dropped.queue_full"]
    assert found == sorted(found, key=lambda one: int(one[2:]))


def _is(place: str, descriptor: int) -> bool:
    try:
        return os.path.sameopenfile(int(place), descriptor)
    except OSError:
        return False


def test_the_end_of_one_that_nobody_reads() -> None:
    """`stop` keeps to its time though the pipe is full, and counts what could not be written."""
    reading, writing = os.pipe()
    log = AccessLog(Descriptor(writer(writing)), 1.0, 0.0)
    log.start()
    for number in range(2000):
        log.offer(numbered(number))
    assert not log.stop(0.2)
    found = told(log)
    assert found["dropped.shutdown"] > 0
    assert found["queue.length"] == 0
    os.close(reading)
    os.close(writing)


FAULTS = ((errno.ENOSPC, "disk"), (errno.EPIPE, "closed"), (errno.EIO, "disk"))


@pytest.mark.parametrize(("number", "reason"), FAULTS)
def test_what_cannot_be_written(number: int, reason: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is lost and counted; one line of the log says so, another that it is over."""
    caplog.set_level(logging.INFO)

    def broken(_: bytes) -> int:
        raise OSError(number, os.strerror(number))

    output = Fake(broken)
    log = AccessLog(output, 1.0, 0.0)
    log.start()
    for count in range(1, 4):
        log.offer(numbered(count))
        assert until(lambda count=count: told(log)[f"dropped.{reason}"] == count, DEADLINE)
    output.behave = len
    log.offer(EXCHANGE)
    assert log.stop(DEADLINE)
    assert [one["request_id"] for one in output.lines] == [EXCHANGE.request_id]
    assert [record.message for record in caplog.records] == [
        f"access log: lines are lost ({reason}): {os.strerror(number)}",
        "access log: lines are written again",
    ]


def test_a_line_that_cannot_be_encoded() -> None:
    """It is lost and counted; those around it are written."""
    output = Fake()
    log = AccessLog(output, 1.0, 0.0)
    log.start()
    for name in ("a", "\ud800", "b"):
        log.offer(changed(model_name=name))
    assert log.stop(DEADLINE)
    assert [one["model_name"] for one in output.lines] == ["a", "b"]
    assert told(log)["dropped.error"] == 1


def test_never_started() -> None:
    """`stop` without `start` counts what was offered."""
    log = AccessLog(Fake(), 1.0, 0.0)
    log.offer(EXCHANGE)
    assert not log.stop(1.0)
    assert told(log)["dropped.shutdown"] == 1
