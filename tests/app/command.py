"""The sidecar as a user starts it, on free ports, and what can be seen of its processes from outside."""

import http.client
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from exporter.records.status import Status
from tests.e2e.processes import LOOPBACK, Program, Running, wait_until
from tests.e2e.sidecar import UNTHINNED

ROOT = Path(__file__).resolve().parents[2]
INFER = "/v2/models/echo/infer"
BODY = b'{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP64","data":[0.5]}]}'
_PORTS = re.compile(r"listening on \S+:(\d+), metrics on \S+:(\d+)/metrics, health on \S+:(\d+),")
_SAMPLE = re.compile(r"([a-z_]+)(?:\{(.*)\})? (\S+)(?: .*)?")


def python_path(*first: Path) -> dict[str, str]:
    """Where the sidecar is imported from: folders of the test, then what the caller said, then this source.

    What the caller put first stays before the source: that is how a compiled data plane is tested.
    """
    said = [Path(place).absolute() for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    return {"PYTHONPATH": os.pathsep.join(map(str, (*first, *said, ROOT)))}


class Sidecar(Running):
    """One `modeltap run`; `prefix` is put before the command. Stop it in the end.

    With a `model` it is `modeltap wrap` of that command.
    """

    def __init__(
        self,
        folder: Path,
        upstream: int,
        flags: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        model: Sequence[str] = (),
    ) -> None:
        ports = [word for name in ("listen", "admin", "health") for word in (f"--{name}", f"{LOOPBACK}:0")]
        command = [sys.executable, "-m", "exporter", "wrap" if model else "run", *ports]
        command += ["--upstream", f"http://{LOOPBACK}:{upstream}", *flags]
        command += ["--", *model] if model else []
        environment = {**python_path(), **UNTHINNED, **(environment or {})}
        super().__init__(Program("sidecar", [*prefix, *command], folder, environment))
        self.root = self.pid

    def started(self) -> "Sidecar":
        """Wait until it says where it listens."""
        found = self.logged(_PORTS.pattern)
        self.listen, self.admin, self.health = map(int, found.groups())
        return self

    def logged(self, pattern: str) -> re.Match[str]:
        """Wait until the log has it."""
        return wait_until(lambda: re.search(pattern, self.text()), f"the log says {pattern}", 20, self)

    def text(self) -> str:
        """The log."""
        return self.log.read_text()

    def ended(self, seconds: float = 20) -> int:
        """Wait for the end; the exit status."""
        wait_until(lambda: self.status is not None, "the sidecar ends", seconds, progress=self.tail)
        assert self.status is not None
        return self.status

    def signal(self, number: signal.Signals) -> None:
        """To the root."""
        os.kill(self.root, number)

    # ---------------------------------------------------------------- what it answers

    def post(self, path: str = INFER, body: bytes = BODY) -> tuple[int, bytes]:
        """One exchange through the proxy."""
        return exchange(self.listen, "POST", path, body)

    def probe(self, path: str) -> tuple[int, str]:
        """One answer of the health port."""
        status, body = exchange(self.health, "GET", path)
        return status, body.decode().strip()

    def metrics(self) -> "Metrics":
        """One scrape; it waits for an analysis that starts anew."""
        status, body = exchange(self.admin, "GET", "/metrics")
        assert status == 200
        return Metrics(body.decode())

    # ---------------------------------------------------------------- what it is made of

    def children(self, role: str) -> list[int]:
        """Process ids of the analysis or of the workers that live."""
        found = []
        for child in psutil.Process(self.root).children():
            try:
                if role in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                    found.append(child.pid)
            except psutil.NoSuchProcess:
                continue
        return found

    def analysis(self) -> int:
        """Process id of the analysis, once it is there."""
        return wait_until(lambda: self.children("analysis"), "the analysis runs", 20, self)[0]

    def page(self) -> Status:
        """The page that root and analysis share, as the kernel shows it to us."""
        folder = Path(f"/proc/{self.root}/fd")
        place = next(fd for fd in folder.iterdir() if "modeltap-status" in os.readlink(fd))
        fd = os.open(place, os.O_RDWR)
        try:
            return Status(fd)
        finally:
            os.close(fd)


class Metrics:
    """A scrape, to be asked for sums."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._samples = [
            (found[1], dict(re.findall(r'(\w+)="([^"]*)"', found[2] or "")), float(found[3]))
            for line in text.splitlines()
            if (found := _SAMPLE.fullmatch(line))
        ]

    def total(self, name: str, **labels: str) -> float:
        """Sum of all series with those labels; 0 if there is none."""
        return sum(
            value for found, has, value in self._samples if found == name and labels.items() <= has.items()
        )


def exchange(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """One request on a connection of its own; OSError or HTTPException if it is not answered."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=30)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def lives(pid: int) -> bool:
    """Whether that process is there and is not merely waiting to be collected."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(*pids: int, seconds: float = 20) -> None:
    """Wait until all of them are gone."""
    wait_until(lambda: not any(map(lives, pids)), f"{pids} are gone", seconds)
