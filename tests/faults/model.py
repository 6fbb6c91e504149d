"""The scripted model behind a sidecar: each connection follows the script of the case that its first request names.

A request names its case in the query (`?case=a17`, further ones on the connection `?case=a17-2`), so the metrics'
labels do not tell cases apart. A connection that names none is served honestly if it asks like a canary, and is
`anonymous` otherwise.
"""

import asyncio
import re
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.faults.ends import Between, End, limit_buffer
from tests.faults.toxics import refusing
from tests.proxy.clients import answer
from tests.proxy.upstreams import accepting

Script = Callable[[End], Awaitable[None]]
CANARY = "/v2/models/canary/infer"
CANARY_ANSWER = answer(b'{"model_name":"canary","outputs":[]}', "200 OK", "Content-Type: application/json")
_CASE = re.compile(rb"[?&]case=(([a-z][0-9]+)[-0-9]*)")
_LINE = 4096
_PATIENCE = 500  # looks at a line that is not whole


@dataclass(frozen=True, slots=True)
class Part:
    """What one case's connection does, and the toxics on the model's side of it."""

    script: Script
    toxics: tuple[Between, ...] = ()


class Model:
    """Listens on `sock`, which outlives it: a sidecar keeps its upstream's port from one row to the next."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.ends: dict[str, End] = {}
        self.anonymous: list[End] = []
        self.anonymous_part: Part | None = None
        self.failures: list[BaseException] = []
        self.greeting = b""  # said to whoever connects
        self._parts: dict[str, Part] = {}
        self._open: set[End] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._leave: Callable[[], None] | None = None

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.sock.getsockname()[:2]
        return host, port

    def expect(self, case: str, part: Part) -> None:
        """The connection whose first request names that case follows the part."""
        self._parts[case] = part

    def seen(self) -> Counter[str]:
        """How often each request was seen, over all connections."""
        ends = [*self.ends.values(), *self.anonymous]
        return Counter(found[1].decode() for end in ends for found in _CASE.finditer(end.received))

    def start(self) -> None:
        self._leave = accepting(self.sock, self._met)

    def _met(self, sock: socket.socket) -> None:
        # Known before its task begins: one that is cancelled until then would never close it.
        self._open.add(end := End(sock))
        task = asyncio.get_running_loop().create_task(self._run(sock, end))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, sock: socket.socket, end: End) -> None:
        try:
            await end.send(self.greeting)
            part, end = await self._meet(sock)
            self._open.add(end)
            if part is not None:
                await part.script(end)
        except (ConnectionError, asyncio.CancelledError):
            pass
        except BaseException as error:  # noqa: BLE001 - raised again by `stop`
            self.failures.append(error)
        finally:
            end.close()

    async def _meet(self, sock: socket.socket) -> tuple[Part | None, End]:
        """Peek at the first line, so that it is still there for the toxics to play with."""
        line = await _peek(sock)
        found = _CASE.search(line)
        if found is None and CANARY.encode() in line:
            return Part(honest), End(sock)
        case = found[2].decode() if found else ""
        part = self._parts.get(case) if found else self.anonymous_part
        toxics = part.toxics if part is not None else ()
        limit_buffer(sock, toxics)
        end = End(sock, toxics)
        if case:
            self.ends[case] = end
        elif line:
            self.anonymous.append(end)
        return part if line else None, end

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Nobody listens within."""
        assert self._leave is not None
        self._leave()
        try:
            with refusing(self.sock):
                yield
        finally:
            self.start()

    def die(self) -> None:
        """Every connection ends as the kernel ends those of a process that was killed."""
        for task in self._tasks:
            task.cancel()
        for end in self._open:
            end.close()

    async def stop(self) -> None:
        """End every script; the failure of one is raised."""
        if self._leave is not None:
            self._leave()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for end in self._open:
            end.close()
        if self.failures:
            raise self.failures[0]


async def _peek(sock: socket.socket) -> bytes:
    """The beginning of what came, up to a line's end if there is one, without taking it; b"" at the end."""
    loop = asyncio.get_running_loop()
    line = b""
    for _ in range(_PATIENCE):
        readable: asyncio.Future[None] = loop.create_future()
        loop.add_reader(sock, lambda done=readable: done.done() or done.set_result(None))
        try:
            await readable
        finally:
            loop.remove_reader(sock)
        line = sock.recv(_LINE, socket.MSG_PEEK)
        if not line or b"\n" in line or len(line) == _LINE or b" HTTP/1." in line:
            return line
        if line[:1] not in b"GPH":
            return line  # not a request of ours
        await asyncio.sleep(0.002)  # the rest of the line makes it readable no more than it is
    return line


async def honest(end: End) -> None:
    """Answer as to a canary, request after request."""
    while (await end.read_message()).head.endswith(b"\r\n\r\n"):
        await end.send(CANARY_ANSWER)


def listening(backlog: int = 512) -> socket.socket:
    """A listener on a free loopback port."""
    with closed() as chosen:
        sock = closed(chosen.getsockname()[1])
    sock.listen(backlog)
    sock.setblocking(False)
    return sock


def closed(port: int = 0) -> socket.socket:
    """A bound socket that does not listen: its port refuses. A port that was asked for is kept through `refusing`."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock
