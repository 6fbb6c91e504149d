"""A kubelet's part for one rendered pod, at the level of processes: the order of starting, probing and ending.

Each container is a process of this host with the variables that the pod's spec gives it. Played are, as KEP-753 and the
kubelet's code have it: an init container with `restartPolicy: Always` is started first and the next begins when its
startup probe succeeded; whoever dies is started again; at the end all preStop hooks run at once, a container gets
SIGTERM after its own hook, a sidecar only after the last other container has ended; what outlives the grace is killed.
Not played: images, cgroups, namespaces, liveness probes. It knows nothing of what the containers do.
"""

import http.client
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from tests.e2e.processes import LOOPBACK, Program, Running

_VARIABLE = re.compile(r"\$\(([A-Z_]+)\)")
GONE_SECONDS = 20
FIELDS = {
    "metadata.name": "model-0",
    "metadata.namespace": "models",
    "metadata.uid": "7d6c",
    "spec.nodeName": "node-1",
}


class Pod:
    """A pod of this host; `commands` says what each entry point is here. Always `kill` it in the end."""

    def __init__(self, spec: dict[str, Any], folder: Path, commands: Mapping[str, Sequence[str]]) -> None:
        # per pod
        self.events: list[tuple[str, str]] = []  # what happened to which container, in order
        self._spec, self._folder, self._commands = spec, folder, commands
        self._ending = False
        self._lock = threading.Lock()
        self._gone = threading.Event()
        self._lives = 0
        # per container
        self.running: dict[str, Running] = {}
        self.statuses: dict[str, int] = {}

    # ---------------------------------------------------------------- the beginning

    def start(self) -> None:
        """Sidecars first, each until its startup probe succeeds; then all containers."""
        for container in self._spec.get("initContainers", []):
            assert container["restartPolicy"] == "Always", "an init container that ends is not played"
            self._run(container)
            self._await_startup(container)
        for container in self._spec["containers"]:
            self._run(container)
        threading.Thread(target=self._keep, daemon=True).start()

    def _run(self, container: dict[str, Any]) -> None:
        name = container["name"]
        self._note("started", name)
        entry, *rest = [*container.get("command", [name]), *container.get("args", [])]
        command = [*self._commands[entry], *rest]
        self._lives += 1
        program = Program(f"{name}-{self._lives}", command, self._folder, variables(container))
        self.running[name] = Running(program)

    def _await_startup(self, container: dict[str, Any]) -> None:
        probe = container["startupProbe"]
        get = probe["httpGet"]
        for _ in range(probe["failureThreshold"]):
            if status(get["port"], get["path"], probe["timeoutSeconds"]) == 200:
                self._note("probed", container["name"])
                return
            time.sleep(probe["periodSeconds"])
        raise AssertionError(f"not started in time\n{self.running[container['name']].tail()}")

    def _keep(self) -> None:
        """Start again whoever died; a container's restart is no other's business."""
        while not self._ending:
            for container in self._all():
                name = container["name"]
                with self._lock:
                    if not self._ending and self.running[name].status is not None:
                        self._note("died", name)
                        self._run(container)
            time.sleep(0.05)
        # What this thread started is killed with it: the kernel counts threads as parents.
        self._gone.wait()

    def crash(self, name: str) -> None:
        """Kill a container as the kernel does: with its first process all others of its namespace end."""
        with self._lock:
            process = self.running[name]
            rest = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            for each in rest:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
            assert not psutil.wait_procs(rest, GONE_SECONDS)[1], "a process outlived its container"

    # ---------------------------------------------------------------- the end

    def delete(self) -> None:
        """End all containers in their order, within the pod's grace."""
        with self._lock:
            self._ending = True
        deadline = time.monotonic() + self._spec["terminationGracePeriodSeconds"]
        threads = [threading.Thread(target=self._end, args=(each, deadline)) for each in self._all()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _end(self, container: dict[str, Any], deadline: float) -> None:
        name = container["name"]
        hook = container.get("lifecycle", {}).get("preStop")
        if hook:
            self._note("hook", name)
            self._hook(container, hook, deadline)
        if container in self._spec.get("initContainers", []):
            others = [each["name"] for each in self._spec["containers"]]
            while time.monotonic() < deadline and any(one not in self.statuses for one in others):
                time.sleep(0.02)
        process = self.running[name]
        self._note("told", name)
        os.kill(process.pid, signal.SIGTERM)
        while process.status is None and time.monotonic() < deadline:
            time.sleep(0.02)
        if process.status is None:
            self._note("killed", name)
            process.kill()
        self._note("ended", name)
        self.statuses[name] = process.status or 0

    def _hook(self, container: dict[str, Any], hook: dict[str, Any], deadline: float) -> None:
        seconds = max(0.1, deadline - time.monotonic())
        if "exec" in hook:
            entry, *rest = hook["exec"]["command"]
            environment = {**os.environ, **variables(container)}
            command = [*self._commands[entry], *rest]
            done = subprocess.run(command, env=environment, timeout=seconds, capture_output=True, check=False)
            assert done.returncode == 0, done.stderr
        else:
            status(hook["httpGet"]["port"], hook["httpGet"]["path"], seconds)

    def kill(self) -> None:
        """Everything that is left, at once. Safe twice."""
        with self._lock:
            self._ending = True
        for process in self.running.values():
            process.stop()
        self._gone.set()

    def container(self, name: str) -> dict[str, Any]:
        """The one of that name in the spec."""
        return next(each for each in self._all() if each["name"] == name)

    def _all(self) -> list[dict[str, Any]]:
        return [*self._spec.get("initContainers", []), *self._spec["containers"]]

    def _note(self, what: str, name: str) -> None:
        self.events.append((what, name))


def variables(container: dict[str, Any]) -> dict[str, str]:
    """The variables of a container: fields of the pod resolved, $(NAME) replaced by what stands before it."""
    found: dict[str, str] = {}
    for each in container.get("env", []):
        if "valueFrom" in each:
            found[each["name"]] = FIELDS[each["valueFrom"]["fieldRef"]["fieldPath"]]
        else:
            found[each["name"]] = _VARIABLE.sub(lambda name: found[name[1]], each.get("value", ""))
    return found


def status(port: int, path: str, seconds: float) -> int:
    """The status of one GET; 0 where nobody answers in time."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=seconds)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
