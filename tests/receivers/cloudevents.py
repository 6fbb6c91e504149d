"""A sink of CloudEvents on an ephemeral port: keeps every event as the CloudEvents SDK reads it, misbehaves on demand.

    with CloudEventSink() as sink:
        ...  # post to sink.url
        sink.wait(lambda: sink.events)

`sink.manner` decides how the next requests are answered; each is kept before that, whatever the answer. Faults below
HTTP are `RawSink`'s: a socket that does what it is told with whoever connects.
"""

import asyncio
import json
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web
from cloudevents.core.bindings.http import HTTPMessage, from_binary_event
from multidict import CIMultiDictProxy

from tests.receivers.otlp import until

# Answers a request; None hangs until the sink stops.
Manner = Callable[[web.Request], web.StreamResponse | None]


@dataclass(frozen=True, slots=True)
class Received:
    """One POST: its attributes and data as the SDK gives them, `body` and `headers` as they came."""

    attributes: dict[str, Any]
    data: Any
    body: bytes
    headers: CIMultiDictProxy[str]
    path: str


def status(code: int, **headers: str) -> Manner:
    """Answers with that code and those headers; `retry_after` is Retry-After."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: web.Response(status=code, headers=named)


class CloudEventSink:
    """Safe to read while requests arrive; a context manager. `tls` makes it HTTPS."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.manner: Manner = status(202)
        self.next: deque[Manner] = deque()  # for one request each, before `manner` holds again
        self.connections = 0
        self._tls = tls
        self._received: list[Received] = []
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._started = threading.Event()
        self._over = asyncio.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))

    @property
    def url(self) -> str:
        """Where to post."""
        host = f"127.0.0.1:{self._socket.getsockname()[1]}"
        return f"http{'s' if self._tls else ''}://{host}/default"

    @property
    def events(self) -> list[Received]:
        """All events so far, the oldest first."""
        with self._lock:
            return list(self._received)

    def wait(self, condition: Callable[[], object], seconds: float = 20.0) -> bool:
        """Wait until the condition holds; False after the deadline."""
        return until(condition, seconds)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        found = from_binary_event(HTTPMessage(dict(request.headers), body))
        with self._lock:
            received = Received(
                found.get_attributes(), found.get_data(), body, request.headers.copy(), request.path_qs
            )
            self._received.append(received)
            manner = self.next.popleft() if self.next else self.manner
        answer = manner(request)
        if answer is None:
            await self._over.wait()
            raise ConnectionResetError
        return answer

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._take)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, self._socket, ssl_context=self._tls).start()
        self._started.set()
        await self._over.wait()
        await runner.cleanup()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)
        self._socket.close()


class RawSink:
    """`talk` gets each connection, one after the other, and does what it likes with it; a context manager."""

    def __init__(self, talk: Callable[[socket.socket], None]) -> None:
        self._talk = talk
        self._server = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        self.over = threading.Event()
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(4)]

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://127.0.0.1:{self._server.getsockname()[1]}/"

    def _serve(self) -> None:
        while not self.over.is_set():
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                try:
                    self._talk(connection)
                except OSError:
                    continue  # the other side left

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


class Reconciler:
    """What TrustyAI's service does with events posted to `/`: V2 bodies, paired by the id of the event.

    It reads the body as V2 JSON, tells request from response by `inputs` and `outputs`, takes the id from `ce-id`, and
    answers 400 where a list is empty, 422 where the body is neither.
    """

    def __init__(self) -> None:
        self.pairs: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        self._halves: dict[str, dict[str, dict[str, Any]]] = {}

    def consume(self, received: Received) -> int:
        """The status that it answers with."""
        try:
            payload = json.loads(received.body)
        except ValueError:
            return 422
        side = "inputs" if "inputs" in payload else "outputs"
        identity = received.headers.get("ce-id") or payload.get("id")
        if side not in payload:
            return 422
        if not identity or not payload[side]:
            return 400
        halves = self._halves.setdefault(identity, {})
        halves[side] = payload
        if len(halves) == 2:
            self.pairs[identity] = halves["inputs"], halves["outputs"]
        return 200
