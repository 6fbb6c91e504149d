"""Logging while nobody reads: nothing waits, and what was lost is told."""

import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from exporter.processes.logs import MOST_PER_MINUTE, Handler, Json, Seldom, Write, _if_writable, writer
from tests.app.command import Sidecar
from tests.app.upstream import Upstream
from tests.e2e.processes import LOOPBACK, free_ports, wait_until


def logged(handler: Handler, text: str) -> None:
    """One record."""
    handler.emit(logging.LogRecord("modeltap", logging.INFO, "", 0, text, None, None))


@pytest.fixture(params=["pipe", "pipe that cannot be opened anew", "socket"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[int, Write]]:
    """A descriptor to read from, and the way to write to its other end."""
    if request.param == "socket":
        first, second = socket.socketpair()
        reader, there = first.detach(), second.detach()
    else:
        reader, there = os.pipe()
    os.set_blocking(reader, False)
    yield reader, (lambda data: _if_writable(there, data)) if "cannot" in request.param else writer(there)
    os.close(reader)
    os.close(there)


def drained(reader: int) -> bytes:
    """Everything that was written."""
    found = b""
    try:
        while data := os.read(reader, 1 << 20):
            found += data
    except BlockingIOError:
        pass
    return found


def test_a_reader_that_stopped(ends: tuple[int, Write]) -> None:
    """Lines are written until it is full, then dropped; the first that fits again tells how many."""
    reader, write = ends
    handler = Handler(write)
    for size in (4096, 1):
        with suppress(BlockingIOError):
            while True:
                write(b"x" * size)
    for _ in range(10):
        logged(handler, "lost")
    assert handler.dropped == 10
    before = drained(reader)
    assert b"lost" not in before
    logged(handler, "found é\ud800")
    assert drained(reader).decode() == "10 lines could not be written\nfound é\\ud800\n"
    assert handler.dropped == 0


def test_a_reader_that_is_gone() -> None:
    """A closed pipe raises nothing."""
    reader, there = os.pipe()
    handler = Handler(writer(there))
    os.close(reader)
    logged(handler, "lost")
    assert handler.dropped == 1
    os.close(there)


def test_a_full_disk() -> None:
    """A device without room raises nothing."""
    with open("/dev/full", "wb") as full:
        handler = Handler(writer(full.fileno()))
        logged(handler, "lost")
        assert handler.dropped == 1


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    """What others write to the same file through the same descriptor is not overwritten."""
    with (tmp_path / "log").open("wb", buffering=0) as file:
        handler = Handler(writer(file.fileno()))
        logged(handler, "first")
        os.write(file.fileno(), b"other\n")
        logged(handler, "second")
    assert (tmp_path / "log").read_text() == "first\nother\nsecond\n"


def test_json_lines() -> None:
    """Each record is one object on one line, whatever it holds."""
    record = logging.LogRecord("modeltap.x", logging.WARNING, "", 0, "odd %s", ('\n"é\ud800',), None)
    record.trace_id = "0af7651916cd43dd8448eb211c80319c"
    record.created, record.msecs = 1_700_000_000.25, 250.0
    line = Json().format(record)
    assert "\n" not in line and line.isascii()
    found = json.loads(line)
    assert found.pop("pid") == os.getpid()
    assert found == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "logger": "modeltap.x",
        "message": 'odd \n"é\ud800',
        "trace_id": record.trace_id,
    }
    try:
        raise ValueError("why")
    except ValueError:
        failed = logging.LogRecord("modeltap", logging.ERROR, "", 0, "it failed", None, sys.exc_info())
    assert json.loads(Json().format(failed))["exception"].endswith("ValueError: why")


def test_what_is_said_over_and_over_is_counted() -> None:
    """So many a minute of one message; the next minute's first says how many were held back. Others pass."""
    now = [0.0]
    seldom = Seldom(lambda: now[0])

    def record(message: str) -> logging.LogRecord:
        return logging.LogRecord("modeltap", logging.INFO, "", 0, message, (7,), None)

    passed = [seldom.filter(record("again %d")) for _ in range(MOST_PER_MINUTE + 5)]
    assert passed == [True] * MOST_PER_MINUTE + [False] * 5
    assert seldom.filter(record("another %d"))
    now[0] = 60.0
    again = record("again %d")
    assert seldom.filter(again)
    assert again.getMessage() == "again 7 (and 5 times more in the minute before)"
    assert seldom.filter(record("again %d"))


def test_messages_told_apart_are_bounded() -> None:
    """However many different ones come by."""
    seldom = Seldom(lambda: 0.0)
    for number in range(1000):
        assert seldom.filter(logging.LogRecord("m", logging.INFO, "", 0, f"one {number}", None, None))
    assert len(seldom._seen) == 256


def test_every_process_logs_json(tmp_path: Path, upstream: Upstream) -> None:
    """With --log-format json every line of root and analysis is an object."""
    sidecar = Sidecar(tmp_path, upstream.port, ["--log-format", "json"]).started()
    try:
        sidecar.metrics()
        os.kill(sidecar.analysis(), signal.SIGKILL)
        wait_until(lambda: "the analysis ended" in sidecar.log.read_text(), "the root noticed", 20)
        sidecar.signal(signal.SIGTERM)
        assert sidecar.ended() == 0
        lines = [json.loads(line) for line in sidecar.log.read_text().splitlines()]
        assert {"info", "error"} <= {line["level"] for line in lines}
    finally:
        sidecar.stop()


class Reading(threading.Thread):
    """Reads a named pipe until it is told to pause; then it is full, and stays so."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        os.mkfifo(path)
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self.text = b""
        self.paused = threading.Event()
        self.start()

    def run(self) -> None:
        """Everything that comes."""
        while not self.paused.wait(0.02):
            self.text += drained(self.fd)

    def fill(self) -> None:
        """Pause, and leave no room for anybody."""
        self.paused.set()
        self.join()
        for size in (4096, 1):
            try:
                while True:
                    os.write(self.fd, b"\n" * size)
            except BlockingIOError:
                continue


def test_the_sidecar_goes_on(tmp_path: Path, upstream: Upstream) -> None:
    """With its log stuck, the sidecar serves, answers probes, replaces its analysis, and ends when told."""
    log = Reading(tmp_path / "stderr")
    ports = free_ports(3)
    flags = [
        word
        for flag, port in zip(("listen", "admin", "health"), ports, strict=True)
        for word in (f"--{flag}", f"{LOOPBACK}:{port}")
    ]
    redirected = ("sh", "-c", 'exec "$@" 2>"$0"', str(tmp_path / "stderr"))
    sidecar = Sidecar(tmp_path, upstream.port, flags, prefix=redirected)
    try:
        wait_until(lambda: b"listening on" in log.text, "it listens", 20, sidecar)
        sidecar.listen, sidecar.admin, sidecar.health = ports
        sidecar.metrics()
        log.fill()
        os.kill(sidecar.analysis(), signal.SIGKILL)
        wait_until(lambda: sidecar.page().restarts()["analysis", "signal"] == 1, "the root noticed", 20)
        for _ in range(3):
            assert sidecar.post()[0] == 200
            assert sidecar.probe("/livez") == (200, "ok")
        assert sidecar.metrics().total("modeltap_restarts_total") == 1
        drained(log.fd)
        sidecar.signal(signal.SIGTERM)
        assert sidecar.ended() == 0
        rest = drained(log.fd).decode()
        assert "1 lines could not be written\n" in rest
        assert "modeltap: draining" in rest
    finally:
        sidecar.kill()
        sidecar.stop()
        os.close(log.fd)
