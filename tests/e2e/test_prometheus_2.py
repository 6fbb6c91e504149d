"""Prometheus 2.42, which Debian 12 has and many clusters still run, scrapes all that it asks for.

It asks for OpenMetrics by default, and for protobuf once native histograms are switched on.
"""

import time
from pathlib import Path

import pytest
import yaml

from exporter.publish.negotiation import PROTOBUF
from tests.e2e.monitoring import Prometheus
from tests.e2e.processes import LOOPBACK, Program, free_ports, running, wait_until
from tests.e2e.test_native_histograms import SECONDS, served
from tests.environments.single import single

DURATION = "model_request_duration_seconds"
TRACE = "0af7651916cd43dd8448eb211c80319c"


def prometheus(folder: Path, port: int, target: int, features: str) -> Program:
    """It cannot have classic histograms beside native ones: with the feature on, these take their place."""
    scrape = {"job_name": "modeltap", "static_configs": [{"targets": [f"{LOOPBACK}:{target}"]}]}
    every = {"scrape_interval": "1s", "scrape_timeout": "1s"}
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump({"global": every, "scrape_configs": [scrape]}))
    command: list[str | Path] = [
        single("prometheus-2"),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={LOOPBACK}:{port}",
        f"--enable-feature={features}",
        "--log.level=warn",
    ]
    return Program("prometheus", command, folder, {})


@pytest.mark.parametrize("native", [False, True], ids=["openmetrics", "protobuf"])
def test_it_has_what_was_served(tmp_path: Path, native: bool) -> None:
    """Counters, histograms and exemplars, in either form."""
    now = time.time()
    asked: list[str] = []
    (port,) = free_ports(1)
    features = "exemplar-storage,native-histograms" if native else "exemplar-storage"
    with (
        served(now, asked) as target,
        running(prometheus(tmp_path, port, target, features), f"http://{LOOPBACK}:{port}/-/ready"),
    ):
        found = Prometheus(f"http://{LOOPBACK}:{port}")
        wait_until(lambda: found.query("model_predictions_total"), "the first scrape")
        assert found.target_health() == ["up"]
        assert found.scalar("model_predictions_total") == 7
        if native:
            assert set(asked) == {PROTOBUF}
            assert found.scalar(f"histogram_count({DURATION})") == sum(SECONDS.values())
        else:
            assert all(kind.startswith("application/openmetrics-text") for kind in asked)
            assert found.by(f"{DURATION}_bucket", "le") == {("0.05",): 100, ("0.1",): 150, ("+Inf",): 150}
            assert found.scalar(f"{DURATION}_sum") == 5.0
        name = DURATION if native else f"{DURATION}_bucket"
        exemplars = found.exemplars(name, now - 60, now + 60)
        assert {one["labels"]["trace_id"] for one in exemplars} == {TRACE}
