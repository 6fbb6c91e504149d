"""Small real processes for tests: each says one line when it is ready and lives until its stdin closes."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Binds argv[1] (a host, or the path of a unix socket) and prints the port; then forks argv[2] workers.
SERVER = """
import os, socket, sys
where, workers = sys.argv[1], int(sys.argv[2])
if where.startswith("/"):
    server = socket.socket(socket.AF_UNIX)
    server.bind(where)
    port = 0
else:
    server = socket.socket(socket.AF_INET6 if ":" in where else socket.AF_INET)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((where, int(sys.argv[3])))
    port = server.getsockname()[1]
server.listen()
closed, keep = os.pipe()
pids = []
for _ in range(workers):
    pid = os.fork()
    if pid == 0:
        os.close(keep)
        total = sum(range(2_000_000))
        os.read(closed, 1)  # until the parent is gone
        os._exit(0)
    pids.append(pid)
print(port, *pids, flush=True)
for line in sys.stdin:  # "reap N": wait for a child that the test has killed
    print(os.waitpid(int(line), 0)[0], flush=True)
"""


class Child:
    """A running server: `pid`, `port` (0 for a unix socket) and the `workers` that it forked."""

    def __init__(self, where: str, workers: int, port: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", SERVER, where, str(workers), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        self.port, *self.workers = map(int, self._line().split())

    def reap(self, worker: int) -> None:
        """Have the server wait for a worker that has been killed."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{worker}\n")
        self._process.stdin.flush()
        assert int(self._line()) == worker

    def kill(self, wait: bool = True) -> None:
        """End the server at once; without `wait` it stays behind as a zombie."""
        self._process.kill()
        if wait:
            self.close()

    def close(self) -> None:
        """End it and free its pipes; safe twice."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.kill()
        self._process.wait()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextmanager
def serving(where: str = "127.0.0.1", workers: int = 0, port: int = 0) -> Iterator[Child]:
    """A server that listens when the block begins and is gone when it ends."""
    child = Child(where, workers, port)
    try:
        yield child
    finally:
        child.close()


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Poll until the condition holds; AssertionError after the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)
