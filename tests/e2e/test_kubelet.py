"""The chart's pod through its life, with a stand-in for the kubelet: real processes, no cluster.

What a cluster would add is named in the stand-in's first lines. Requests go to the port to which the rendered Service
leads, and go on after the pod was told to end for as long as endpoints take to spread.
"""

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.app.command import python_path
from tests.e2e.kubelet import Pod, status, variables
from tests.e2e.load import Load, calling
from tests.e2e.processes import LOOPBACK, answers, free_ports, wait_until
from tests.helm.conftest import CHART, EXAMPLE, REPOSITORY, Chart, load

BODY = b'{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP64","data":[0.5]}]}'
FORMS = pytest.mark.parametrize(("form", "kube"), [("native", "1.33.0"), ("plain", "1.27.0")])
# Longer than a hook waits that was told nothing (2 s), so that only a drain that has begun lets these requests pass.
SPREADING_SECONDS = 2.5

Start = Callable[..., tuple[Pod, int]]


@pytest.fixture
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """`deployed(kube)`: the pod of the chart's example on free ports, and the port to which the Service leads."""
    monkeypatch.setenv("PYTHONPATH", python_path()["PYTHONPATH"])
    make = load(REPOSITORY / "tests" / "environments" / "make.py")
    chart = Chart(Path(make.environment("helm")) / "bin", CHART)
    with ExitStack() as stack:

        def start(kube: str) -> tuple[Pod, int]:
            model, proxy, metrics, health = free_ports(4)
            ports = (
                f"sidecar.ports.proxy={proxy},sidecar.ports.metrics={metrics},sidecar.ports.health={health}"
            )
            upstream = f"sidecar.upstream=http://{LOOPBACK}:{model},example.port={model}"
            # Long enough for clients that a busy machine holds up; ten by default.
            quiet = "sidecar.drainQuiet=4,sidecar.finalScrapeWait=0"
            found = chart.objects("--set", f"{EXAMPLE},{ports},{upstream},{quiet}", kube=kube)
            commands = {
                "modeltap": (sys.executable, "-m", "exporter"),
                "model": (sys.executable, "-m", "tests.e2e.upstream", str(model)),
            }
            spec = kind(found, "Deployment")["spec"]["template"]["spec"]
            pod = Pod(spec, tmp_path, commands)
            stack.callback(pod.kill)
            (target,) = [port["targetPort"] for port in kind(found, "Service")["spec"]["ports"]]
            return pod, target

        yield start


def kind(objects: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The one object of that kind."""
    (found,) = [each for each in objects if each["kind"] == name]
    return found


def takes(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as trial:
        return trial.connect_ex((LOOPBACK, port)) == 0


def served(traffic: Load, more: int = 20) -> None:
    """Wait until so many more requests were answered."""
    before = traffic.answers.total()
    wait_until(
        lambda: traffic.answers.total() >= before + more,
        f"{more} more answers",
        30,
        progress=lambda: (traffic.answers, traffic.broken),
    )


@FORMS
def test_a_pod_s_life(deployed: Start, form: str, kube: str) -> None:
    """It starts in order; a sidecar that dies comes back alone; told to end under load the pod loses no request."""
    pod, port = deployed(kube)
    pod.start()
    first = ["started", "probed", "started"] if form == "native" else ["started", "started"]
    order = ["modeltap", "modeltap", "model"] if form == "native" else ["model", "modeltap"]
    assert pod.events == list(zip(first, order, strict=True))
    ready = f"http://{LOOPBACK}:{port}/v2/health/ready"
    wait_until(lambda: answers(ready), "the model answers", 30)
    killed(pod)
    wait_until(lambda: answers(ready), "it serves again", 30)
    ended_under_load(pod, port)
    assert not takes(port)
    assert pod.statuses["modeltap"] == 0
    last = [event for event in pod.events if event[0] in ("told", "ended", "killed")]
    assert sorted(what for what, _ in last) == ["ended", "ended", "told", "told"], "one had to be killed"
    if form == "native":
        # Both hooks begin at once: the model's waits for the drain that the sidecar's begins.
        assert {("hook", "model"), ("hook", "modeltap")} <= set(pod.events[: pod.events.index(last[0])])
        assert last == [("told", "model"), ("ended", "model"), ("told", "modeltap"), ("ended", "modeltap")]
    else:
        assert last[0] == ("told", "modeltap")


def killed(pod: Pod) -> None:
    """Kill the sidecar and see it started again; the model's process goes on and is not started again."""
    model = psutil.Process(pod.running["model"].pid)
    born = model.create_time()
    pod.crash("modeltap")
    wait_until(lambda: pod.events.count(("started", "modeltap")) == 2, "the sidecar is started again", 30)
    assert pod.events.count(("started", "model")) == 1
    assert model.is_running() and model.create_time() == born


def ended_under_load(pod: Pod, port: int) -> None:
    """Delete the pod while requests come, and go on coming for a while; all are answered with 200."""
    with calling(port, "echo", BODY) as traffic:
        served(traffic)
        ending = threading.Thread(target=pod.delete)
        ending.start()
        wait_until(lambda: ("hook", "model") in pod.events, "the pod is told to end", 20)
        told = time.monotonic()
        health = variables(pod.container("modeltap"))["MODELTAP_HEALTH"].rpartition(":")[2]
        wait_until(lambda: status(int(health), "/readyz", 5) == 503, "the drain has begun", 20)
        assert ("told", "model") not in pod.events, "the model was told to end before the drain began"
        while time.monotonic() - told < SPREADING_SECONDS:
            served(traffic)
    ending.join()
    assert (set(traffic.answers), traffic.broken) == ({"200"}, 0)
