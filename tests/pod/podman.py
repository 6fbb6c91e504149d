"""Podman's command line: pods from YAML, one container at a time, and what podman knows of it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).with_name("containers.conf")
NETWORK = "podman-default-kube-network"
# Whoever has a configuration of podman's own keeps it.
ENVIRONMENT = {"CONTAINERS_CONF": str(CONFIG)} | os.environ


def podman(*words: str, timeout: float = 120.0) -> str:
    """What it prints; fails with its last words."""
    done = subprocess.run(
        ["podman", *words], capture_output=True, text=True, check=False, timeout=timeout, env=ENVIRONMENT
    )
    assert done.returncode == 0, f"podman {' '.join(words)}: {done.stderr[-2000:]}"
    return done.stdout.strip()


@dataclass(frozen=True, slots=True)
class Container:
    """One by its name."""

    name: str

    def state(self) -> dict[str, Any]:
        """Podman's record of it: Pid, StartedAt, ExitCode, Running."""
        found: dict[str, Any] = json.loads(podman("inspect", "--format", "{{json .State}}", self.name))
        return found

    def life(self) -> tuple[int, str]:
        """The process and its start: the same pair means that it was never restarted."""
        state = self.state()
        return int(state["Pid"]), str(state["StartedAt"])

    def logs(self) -> str:
        """The end of what it wrote."""
        command = ["podman", "logs", "--tail", "30", self.name]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
        return f"--- {self.name} ends with:\n{done.stdout}{done.stderr}"

    def python(self, code: str, *words: str) -> subprocess.Popen[str]:
        """A Python program inside it; its input and output are pipes."""
        command = ["podman", "exec", "--interactive", self.name, "python3", "-c", code, *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=ENVIRONMENT)

    def stopping(self, grace: int) -> subprocess.Popen[bytes]:
        """SIGTERM now and SIGKILL after the grace, never restarted, as a kubelet does; ends when it has ended."""
        command = ["podman", "stop", "--time", str(grace), self.name]
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT
        )


@contextmanager
def played(folder: Path, text: str) -> Iterator[None]:
    """The pod of that YAML; gone after the block."""
    path = folder / "pod.yaml"
    path.write_text(text)
    try:
        podman("kube", "play", str(path))
        yield
    finally:
        podman("kube", "down", str(path))


@contextmanager
def running(name: str, image: str, ports: Mapping[int, int]) -> Iterator[Container]:
    """A container beside the pod on its network, with a read-only root; gone after the block."""
    published = [word for host, inside in ports.items() for word in ("-p", f"127.0.0.1:{host}:{inside}")]
    podman(
        "run", "-d", "--name", name, "--network", NETWORK, "--read-only", "--tmpfs", "/tmp", *published, image
    )
    try:
        yield Container(name)
    finally:
        podman("rm", "--force", "--time", "5", name)
