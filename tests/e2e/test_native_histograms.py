"""A real Prometheus scrapes protobuf: native histograms, classic buckets, exemplars and start times arrive."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bcrypt
import pytest
import yaml

from exporter.admin import server as admin
from exporter.admin.guard import Guard
from exporter.publish.negotiation import PROTOBUF
from exporter.publish.prometheus import render
from exporter.records.sample import Exemplar, Exponential, Histogram, Sample
from tests.e2e.monitoring import Prometheus
from tests.e2e.processes import LOOPBACK, Program, free_ports, running, wait_until
from tests.environments.tools import tools
from tests.proxy.secure import FILES

# 100 observations of 10 ms, 50 of 80 ms, in base-2 buckets of scale 3: index floor(log2(value) * 8).
SECONDS = {0.01: 100, 0.08: 50}
INDEX = {0.01: -54, 0.08: -30}
LABELS = ("churn", "2", "predict", "open_inference_v2")


def samples(now: float) -> list[Sample]:
    first, last = min(INDEX.values()), max(INDEX.values())
    counts = [0] * (last - first + 1)
    for value, count in SECONDS.items():
        counts[INDEX[value] - first] = count
    exemplar = Exemplar("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 0.08, now)
    value = Histogram(
        (0.05, 0.1), (100, 50, 0), 5.0, Exponential(3, 0, 0.0, first, tuple(counts)), (None, exemplar, None)
    )
    empty = Histogram((0.05, 0.1), (0, 0, 0), 0.0, Exponential(3, 0, 0.0, 0, ()))
    return [
        Sample("model.request.duration", (*LABELS, "200"), value, now - 60),
        Sample("model.queue.wait", LABELS, empty, now - 60),
        Sample("model.predictions", ("churn", "2", "label", "<other>", "live"), 7, now - 60),
    ]


@contextmanager
def served(now: float, asked: list[str], guard: Guard | None = None) -> Iterator[int]:
    """The admin side in a thread of its own; `asked` collects what was answered."""
    sock = socket.create_server((LOOPBACK, 0))
    sock.setblocking(False)
    loop = asyncio.new_event_loop()

    async def rendered(accept: str, names: frozenset[str]) -> tuple[bytes, str]:
        body, kind = render(samples(now), accept, names)
        asked.append(kind)
        return body, kind

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(admin.serve(sock, admin.Pages(rendered), guard), loop).result(
        10
    )
    try:
        yield sock.getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def prometheus(folder: Path, port: int, target: int, **scheme: object) -> Program:
    """With native histograms, and the classic ones beside them."""
    scrape = {
        **scheme,
        "job_name": "modeltap",
        "always_scrape_classic_histograms": True,
        "static_configs": [{"targets": [f"{LOOPBACK}:{target}"]}],
    }
    every = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump({"global": every, "scrape_configs": [scrape]}))
    command: list[str | Path] = [
        tools() / "prometheus",
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={LOOPBACK}:{port}",
        "--enable-feature=native-histograms,exemplar-storage,created-timestamp-zero-ingestion",
        "--log.level=warn",
    ]
    return Program("prometheus", command, folder, {})


def test_native_histograms_arrive(tmp_path: Path) -> None:
    """Prometheus asks for protobuf, and every count, quantile, exemplar and start time is what was served."""
    now = time.time()
    asked: list[str] = []
    (port,) = free_ports(1)
    with (
        served(now, asked) as target,
        running(prometheus(tmp_path, port, target), f"http://{LOOPBACK}:{port}/-/ready"),
    ):
        found = Prometheus(f"http://{LOOPBACK}:{port}")
        wait_until(lambda: found.query("model_predictions_total"), "the first scrape")
        assert set(asked) == {PROTOBUF}
        assert found.target_health() == ["up"]
        duration = "model_request_duration_seconds"
        assert found.scalar(f"histogram_count({duration})") == 150
        assert found.scalar(f"histogram_sum({duration})") == 5.0
        for share, value in ((0.3, 0.01), (0.9, 0.08)):
            got = found.scalar(f"histogram_quantile({share}, {duration})")
            # A bucket of scale 3 is 9 % wide.
            assert got is not None and got == pytest.approx(value, rel=0.09)
        assert found.scalar("histogram_count(model_queue_wait_seconds)") == 0
        buckets = found.by(f"{duration}_bucket", "le")
        assert buckets == {("0.05",): 100, ("0.1",): 150, ("+Inf",): 150}
        assert found.scalar("model_predictions_total") == 7
        # The sample at the start time, injected from the created timestamp, makes the first counts an increase.
        increase = found.scalar("increase(model_predictions_total[5m])")
        assert increase is not None and increase >= 7
        exemplars = found.exemplars(duration, now - 60, now + 60)
        assert {one["labels"]["trace_id"] for one in exemplars} == {"0af7651916cd43dd8448eb211c80319c"}


def test_a_guarded_admin_side_is_scraped(tmp_path: Path) -> None:
    """Prometheus with the authority, a name and its password gets in; web.config is written as for any exporter."""
    hashed = bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode()
    tls = {"cert_file": str(FILES / "server.pem"), "key_file": str(FILES / "server.key")}
    web = tmp_path / "web.yml"
    web.write_text(yaml.safe_dump({"tls_server_config": tls, "basic_auth_users": {"prometheus": hashed}}))
    scheme = {
        "scheme": "https",
        "tls_config": {"ca_file": str(FILES / "ca.pem"), "insecure_skip_verify": True},
        "basic_auth": {"username": "prometheus", "password": "open sesame"},
    }
    guard = Guard(str(web))
    (port,) = free_ports(1)
    with (
        served(time.time(), [], guard) as target,
        running(prometheus(tmp_path, port, target, **scheme), f"http://{LOOPBACK}:{port}/-/ready"),
    ):
        found = Prometheus(f"http://{LOOPBACK}:{port}")
        wait_until(lambda: found.query("model_predictions_total"), "the first scrape")
        assert found.target_health() == ["up"]
    assert guard.refused["unauthorized"] == 0
