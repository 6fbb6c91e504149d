"""A real Redis or Valkey server on a unix socket of its own, which can be killed, stopped in its tracks and restarted.

    with RedisServer(folder) as server:
        ...  # connect to server.url

With `slots` it is a node of a cluster that has those: all of them, and it is a cluster of its own.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import redis

from tests.environments.redis_server import redis_server

DEADLINE_SECONDS = 30.0


class RedisServer:
    """A context manager. Its data live in `folder`, written with every command, so that a killed one comes back."""

    def __init__(self, folder: Path, slots: range | None = None, command: Path | None = None) -> None:
        """`command`: of another server than the one that is installed."""
        self._folder = folder
        self._command = command
        self._slots = slots
        self.port = 0 if slots is None else _free_port()
        self.bus = 0 if slots is None else _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{folder / 'redis.sock'}"

    def start(self) -> None:
        """Start it, or start it again; returns when it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "unixsocket": str(self._folder / "redis.sock"),
            "dir": str(self._folder),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
        }
        if self._slots is not None:
            options |= {"cluster-enabled": "yes", "cluster-port": str(self.bus)}
            # What lies on other nodes stays in use, and a node that is gone is known to be within seconds.
            options |= {"cluster-require-full-coverage": "no", "cluster-node-timeout": "2000"}
        command = [str(self._command or redis_server())]
        for name, value in options.items():
            command += [f"--{name}", value]
        with open(self._folder / "redis.log", "ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self._wait()
        if self._slots is not None and self.command("CLUSTER INFO")["cluster_slots_assigned"] == "0":
            self.command("CLUSTER", "ADDSLOTSRANGE", self._slots[0], self._slots[-1])
            until(lambda: self.command("CLUSTER INFO")["cluster_state"] == "ok")

    def command(self, *words: str | int) -> Any:
        """What the server answers; raises what the client raises."""
        client = redis.Redis.from_url(self.url, decode_responses=True)
        try:
            asked: Any = client.execute_command
            return asked(*words)
        finally:
            client.close()

    def kill(self) -> None:
        """End it without warning."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """It accepts connections and answers nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def _wait(self) -> None:
        def answers() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, (self._folder / "redis.log").read_text()
            try:
                return bool(self.command("PING"))
            except redis.exceptions.RedisError:
                return False

        until(answers)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()


def until(true: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not true():
        assert time.monotonic() < deadline, "the server did not come up"
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
