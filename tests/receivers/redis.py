"""A real Redis or Valkey server on a unix socket of its own, which can be killed, stopped in its tracks and restarted.

    with RedisServer(folder) as server:
        ...  # connect to server.url

With `cluster` it is a cluster of one node, which refuses a step over keys of two slots as any cluster does.
"""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Self

import redis

from tests.environments.redis_server import redis_server

DEADLINE_SECONDS = 30.0


class RedisServer:
    """A context manager. Its data live in `folder`, written with every command, so that a killed one comes back."""

    def __init__(self, folder: Path, cluster: bool = False) -> None:
        self._folder = folder
        self._cluster = cluster
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{folder / 'redis.sock'}"

    def start(self) -> None:
        """Start it, or start it again; returns when it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        options = {
            "port": str(_free_port()) if self._cluster else "0",
            "bind": "127.0.0.1",
            "unixsocket": str(self._folder / "redis.sock"),
            "dir": str(self._folder),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
        }
        if self._cluster:
            options |= {"cluster-enabled": "yes", "cluster-port": str(_free_port())}
        command = [str(redis_server())]
        for name, value in options.items():
            command += [f"--{name}", value]
        with open(self._folder / "redis.log", "ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self._wait()
        if self._cluster:
            self.command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            _until(lambda: self.command("CLUSTER INFO")["cluster_state"] == "ok")

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

        _until(answers)

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


def _until(true: Any) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not true():
        assert time.monotonic() < deadline, "the server did not come up"
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
