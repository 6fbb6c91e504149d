"""The chart's pod, run for real by podman: model, sidecar, and a Prometheus beside it; by hand, `make pod`.

Real: images, the rendered pod with its security context, limits and network, signals, restarts by the container
runtime, scrapes. Played: the Service is a port of this host; one test takes the kubelet's part in ending a pod.
The image must be there: `make image`, or `make image-base` and `make image BASE=localhost/modeltap-base:bookworm`.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from image.build import version
from tests.e2e.monitoring import Prometheus
from tests.e2e.processes import LOOPBACK, free_ports, wait_until
from tests.helm.conftest import Chart
from tests.pod.images import model_image, prometheus_image
from tests.pod.load import PATH, Load, infer
from tests.pod.playable import playable
from tests.pod.podman import Container, played, podman, running

IMAGE = os.environ.get("MODELTAP_IMAGE", f"localhost/modeltap:{version()}")
POD = "demo-modeltap-example-pod-0"
# How long traffic goes on after a pod was told to stop: the Service's rules lag behind.
ENDPOINTS_LAG_SECONDS = 2.0
DRAIN_QUIET = 3
GRACE = 60
VALUES = {
    "sidecar": {"native": False, "drainQuiet": DRAIN_QUIET, "finalScrapeWait": 10},
    "example": {"enabled": True, "image": "modeltap-test-model:1", "shareProcessNamespace": True},
}
PREDICT = 'operation="predict"'
COUNT = f"model_request_duration_seconds_count{{{PREDICT}}}"
# Asks the model past the sidecar, from inside the pod, until its input is closed.
DIRECT = """
import http.client, sys, threading
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
answered, failed = 0, []
print("begun", flush=True)
while not ended.wait(0.02):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=20)
        connection.request("GET", "/v2/health/ready")
        answered += connection.getresponse().status == 200
    except OSError as error:
        failed.append(repr(error))
print(answered, failed)
"""
pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True, slots=True)
class Pod:
    """Where its parts are on this host."""

    service: int
    metrics: int
    health: int
    prometheus: Prometheus
    model: Container
    sidecar: Container

    def counted(self, seconds: int = 600) -> float:
        """Inferences that Prometheus knows of, by the last scrape that there was in so many seconds."""
        return self.prometheus.scalar(f"sum(last_over_time({COUNT}[{seconds}s]))") or 0.0

    def counts(self) -> float:
        """Inferences as the sidecar itself tells them now."""
        with urllib.request.urlopen(f"http://{LOOPBACK}:{self.metrics}/metrics", timeout=20) as answer:
            lines = answer.read().decode().splitlines()
        family = COUNT.partition("{")[0]
        return sum(float(each.split()[1]) for each in lines if each.startswith(family) and PREDICT in each)

    def answers(self) -> bool:
        """Whether a request through the Service's port reaches the model."""
        connection = http.client.HTTPConnection(LOOPBACK, self.service, timeout=5)
        try:
            return bool(infer(connection))
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def tell(text: str) -> None:
    """A line of what is seen; `-s` shows it."""
    print(f"  {text}", flush=True)


@pytest.fixture(scope="module")
def rendered(chart: Chart, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """What helm makes of the chart with our image."""
    repository, _, tag = IMAGE.removeprefix("localhost/").rpartition(":")
    values = tmp_path_factory.mktemp("values") / "values.yaml"
    values.write_text(yaml.safe_dump(VALUES | {"image": {"repository": repository, "tag": tag}}))
    return chart.objects("-f", str(values))


@pytest.fixture(scope="module")
def pod(rendered: list[dict[str, object]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """The pod and a Prometheus that scrapes it; the logs of both containers are shown at the end."""
    asked = "import sys; print('%d.%d' % sys.version_info[:2])"
    python = podman("run", "--rm", "--network", "none", "--entrypoint", "python3", IMAGE, "-c", asked)
    model_image(tmp_path_factory.mktemp("model"), IMAGE, python, "localhost/modeltap-test-model:1")
    target = f"{POD}:9464"
    prometheus_image(
        tmp_path_factory.mktemp("prometheus"), IMAGE, target, "localhost/modeltap-test-prometheus:1"
    )
    service, metrics, health, model, web = free_ports(5)
    text = playable(rendered, {"service": service, "metrics": metrics, "health": health, "model": model})
    with (
        played(tmp_path_factory.mktemp("pod"), text),
        running("modeltap-test-prometheus", "localhost/modeltap-test-prometheus:1", {web: 9090}),
    ):
        prometheus = Prometheus(f"http://{LOOPBACK}:{web}")
        parts = (Container(f"{POD}-model"), Container(f"{POD}-modeltap"))
        whole = Pod(service, metrics, health, prometheus, *parts)
        wait_until(whole.answers, "the model answers through the sidecar", 120, progress=parts[1].logs)
        yield whole


def test_a_request_through_the_service(pod: Pod) -> None:
    """It reaches the model, and Prometheus, which finds the pod by its name, counts it."""
    with closing(http.client.HTTPConnection(LOOPBACK, pod.service, timeout=20)) as connection:
        answer = json.loads(infer(connection))
        tell(f"POST {PATH} -> {answer['model_name']} version {answer['model_version']}")
        before = wait_until(pod.counted, "Prometheus has the first request", 60)
        for _ in range(20):
            infer(connection)
    wait_until(lambda: pod.counted() >= before + 20, "Prometheus has twenty more", 60, progress=pod.counted)
    found = pod.prometheus.by(COUNT, "model_name", "model_version", "protocol", "instance")
    tell(f"Prometheus: {int(before)} -> {int(pod.counted())} requests")
    for labels, count in found.items():
        tell(f"  {labels} {count:.0f}")
    assert ("housing", "1", "open_inference_v2", f"{POD}:9464") in found


def test_what_the_sidecar_is_allowed(pod: Pod) -> None:
    """No capability, no new privileges, a seccomp filter, a root that cannot be written, its own user."""
    code = "print(open('/proc/self/status').read()); open('/opt/modeltap/x', 'w')"
    out, err = pod.sidecar.python(code).communicate(timeout=60)
    told = dict(line.split(":\t", 1) for line in out.splitlines() if ":\t" in line)
    names = ("Uid", "CapBnd", "CapEff", "NoNewPrivs", "Seccomp")
    tell("sidecar: " + ", ".join(f"{name} {told[name].split()[0]}" for name in names))
    assert [told[name].split()[0] for name in names] == ["65532", "0" * 16, "0" * 16, "1", "2"]
    memory = int(podman("inspect", "--format", "{{.HostConfig.Memory}}", pod.sidecar.name))
    tell(f"its limit of memory: {memory >> 20} Mi")
    assert memory == 192 << 20
    assert "Read-only file system" in err


def test_the_model_is_seen(pod: Pod) -> None:
    """With a shared process namespace, the sidecar measures the model's process beside it."""
    query = "process_memory_usage_bytes"
    parts = ("analysis", "data_plane", "model")

    def measured() -> dict[tuple[str, ...], float] | None:
        found = pod.prometheus.by(query, "component")
        return found if set(found) == {(part,) for part in parts} else None

    found = wait_until(measured, "memory of all three", 60)
    tell(f"{query}: " + ", ".join(f"{part} {found[part,] / 1e6:.0f} MB" for part in parts))
    assert 20e6 < found["model",] < 2e9


def test_the_sidecar_is_killed(pod: Pod) -> None:
    """It comes back by itself; the model, asked all along past it, notices nothing and was not restarted."""
    lives = pod.model.life(), pod.sidecar.life()
    watch = pod.model.python(DIRECT)
    assert watch.stdout and watch.stdout.readline() == "begun\n"
    os.kill(lives[1][0], signal.SIGKILL)
    killed = time.monotonic()
    wait_until(lambda: pod.sidecar.life()[1] != lives[1][1], "the sidecar was started again", 60)
    wait_until(pod.answers, "the model answers through the new sidecar", 60, progress=pod.sidecar.logs)
    tell(f"killed; answers through the Service again after {time.monotonic() - killed:.1f} s")
    out, err = watch.communicate(timeout=60)
    answered, _, failed = out.strip().partition(" ")
    tell(f"the model meanwhile, asked past the sidecar: {answered} answers, failures {failed}")
    assert failed == "[]" and int(answered) > 10, err
    assert pod.model.life() == lives[0]
    wait_until(lambda: pod.prometheus.target_health() == ["up"], "Prometheus scrapes it again", 60)


def test_the_pod_is_stopped_under_load(pod: Pod) -> None:
    """Not one request fails, each is in the last scrape, and both containers end by themselves.

    The kubelet's part: SIGTERM to the sidecar and the model's preStop hook begin together; the Service goes on sending
    for a while; SIGTERM reaches the model when its hook has been answered. Here that waits for the sidecar's end, as
    podman takes the whole pod down when it stops the last container that is not being stopped.
    """
    # The one that answered when it was back; a new series is held at 0 for a scrape.
    before = wait_until(pod.counts, "counts of this life of the sidecar", 60)
    begun = time.monotonic()
    load = Load(pod.service).start()
    wait_until(lambda: load.answered > 200, "traffic flows", 60, progress=lambda: load.failed)
    sidecar = pod.sidecar.stopping(GRACE)
    hook = Hook(pod.health)
    time.sleep(ENDPOINTS_LAG_SECONDS)
    load.stop()
    tell(f"under load from 8 clients: {load.answered} answers, {len(load.failed)} failures {load.failed[:3]}")
    hook.join(GRACE)
    tell(f"the model's preStop hook: {hook.answer!r} {hook.seconds:.1f} s after the pod was told to stop")
    assert (sidecar.wait(GRACE), pod.model.stopping(GRACE).wait(GRACE)) == (0, 0)
    codes = pod.sidecar.state()["ExitCode"], pod.model.state()["ExitCode"]
    # Of this life alone: counts of the one before would be added where a label differs.
    scraped = pod.counted(int(time.monotonic() - begun)) - before
    tell(f"exit statuses: sidecar {codes[0]}, model {codes[1]}; the last scrape has {scraped:.0f} of them")
    assert not load.failed
    assert hook.answer == "drained"
    assert codes == (0, 143), pod.sidecar.logs()
    assert scraped == load.answered


class Hook(threading.Thread):
    """The kubelet's GET of the model's preStop hook; `answer` is what came, `seconds` how long it took."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.answer, self.seconds, self._port = "", 0.0, port
        self.start()

    def run(self) -> None:
        """Ask and wait."""
        begun = time.monotonic()
        with urllib.request.urlopen(
            f"http://{LOOPBACK}:{self._port}/wait-for-drain", timeout=GRACE
        ) as answer:
            self.answer = answer.read().decode().strip()
        self.seconds = time.monotonic() - begun


def test_of_two_images(tmp_path: Path) -> None:
    """The model's image stands on ours: what is played is the image that was built."""
    shown = podman(
        "image", "inspect", "--format", "{{json .RootFS.Layers}}", "localhost/modeltap-test-model:1"
    )
    ours = podman("image", "inspect", "--format", "{{json .RootFS.Layers}}", IMAGE)
    layers = json.loads(ours)
    assert json.loads(shown)[: len(layers)] == layers
