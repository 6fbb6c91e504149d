"""sending.py: bodies to a sidecar that is busy, gone, or answers nonsense."""

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from exporter.commands.sending import Sender, SendError
from tests.e2e.processes import LOOPBACK, free_ports

Answers = list[tuple[int, dict[str, str], bytes]]


class Server:
    """Answers POST with what is next in `answers`; `bodies` are those that came."""

    def __init__(self) -> None:
        self.answers: Answers = []
        self.bodies: list[bytes] = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                server.bodies.append(self.rfile.read(int(self.headers["content-length"])))
                status, fields, body = server.answers.pop(0)
                if not status:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **fields}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Not to the terminal."""

        self._server = http.server.ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.place = (LOOPBACK, self._server.server_port)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def sender(server: Server, slept: list[float]) -> Iterator[Sender]:
    (nobody,) = free_ports(1)
    made = Sender([(LOOPBACK, nobody), server.place], "/p", {"X": "y"}, 20.0)
    made.sleep = slept.append
    yield made
    made.close()


def test_a_busy_sidecar_is_asked_again(server: Server, sender: Sender, slept: list[float]) -> None:
    """The same body, after the pause that it tells, bounded; one connection where it is kept."""
    server.answers = [
        (429, {"Retry-After": "2"}, b"{}"),
        (503, {"Retry-After": "soon", "Connection": "close"}, b"x"),
        (429, {"Retry-After": "5000"}, b"{}"),
        (200, {}, b'{"rows": 1}'),
    ]
    assert sender.send(b"a") == (200, {"rows": 1})
    assert slept == [2.0, 1.0, 10.0]
    assert server.bodies == [b"a"] * 4


def test_patience_ends(server: Server, sender: Sender, slept: list[float]) -> None:
    """A sidecar that is busy for too long is told of, with what it said."""
    server.answers = [(429, {"Retry-After": "9"}, b'{"expected": "come again"}')] * 3
    with pytest.raises(SendError, match="no time for 18 s: 429 come again"):
        sender.send(b"a")
    assert slept == [9.0, 9.0]


def test_refusals_are_the_callers(server: Server, sender: Sender) -> None:
    """Any other status is handed on; what is no JSON object is as good as none."""
    server.answers = [(400, {}, b'{"refused": []}'), (500, {}, b"[]"), (204, {}, b"")]
    assert sender.send(b"a") == (400, {"refused": []})
    assert sender.send(b"a") == (500, {})
    assert sender.send(b"a") == (204, {})


def test_no_answer_is_no_second_try(server: Server, sender: Sender) -> None:
    """What may have been counted is not sent again by itself; the next body finds a new connection."""
    server.answers = [(0, {}, b""), (200, {}, b"{}")]
    with pytest.raises(SendError, match="did not answer"):
        sender.send(b"a")
    assert sender.send(b"b") == (200, {})
    assert server.bodies == [b"a", b"b"]


def test_nobody_is_there() -> None:
    """All places are named."""
    first, second = free_ports(2)
    places = [(LOOPBACK, first), (LOOPBACK, second)]
    with pytest.raises(SendError, match=f"no sidecar is there: .*:{first}: .*:{second}: .*expected --admin"):
        Sender(places, "/p", {}, 1.0).send(b"")
