"""Every query of every dashboard, to a real Prometheus that holds two weeks of three replicas, and of an idle job."""

import math
import re
import subprocess
from collections.abc import Iterator

import pytest

from alert_rules.promql import interpolate
from dashboards.generate import queries
from dashboards.panels import Panel
from tests.dashboards.backfilled import (
    END,
    GROWTH,
    IDLE,
    LIVELY,
    POINTS,
    RANGES,
    REPLICAS,
    STEP,
    openmetrics,
    wanted,
)
from tests.dashboards.built import NAMES, built
from tests.dashboards.linter import panels
from tests.e2e.monitoring import Prometheus
from tests.e2e.processes import LOOPBACK, Program, free_ports, running
from tests.environments.tools import tools

BLOCKS = ("tsdb", "create-blocks-from", "openmetrics", "--quiet", "--max-block-duration=720h")
# Wider than the step, so that an instant has the samples before it.
KEPT = ("--query.lookback-delta=7h", "--storage.tsdb.retention.time=100y", "--log.level=warn")
SPAN = (END - (POINTS - 1) * STEP, END, STEP)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("backfilled")
    text, data, configuration = (folder / name for name in ("samples.om", "data", "prometheus.yml"))
    with text.open("w") as file:
        file.writelines(openmetrics(wanted(query for name in NAMES for _, query in queries(built(name)))))
    subprocess.run([tools() / "promtool", *BLOCKS, text, data], check=True, capture_output=True, timeout=100)
    configuration.write_text("{}\n")
    url = f"http://{LOOPBACK}:{free_ports(1)[0]}"
    command = [
        *(tools() / "prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={data}"),
        *(f"--web.listen-address={url.removeprefix('http://')}", *KEPT),
    ]
    with running(Program("prometheus", command, folder, {}), f"{url}/-/ready"):
        yield Prometheus(url)


def asked(name: str, job: str) -> list[tuple[str, str]]:
    return [(place, interpolate(query, {**RANGES, "job": job})) for place, query in queries(built(name))]


@pytest.mark.parametrize("name", NAMES)
def test_weeks_of_three_replicas_are_shown(name: str, prometheus: Prometheus) -> None:
    """Each query joins what three replicas, two versions and a restart left, and has something to show."""
    found = {(place, query): prometheus.range(query, *SPAN) for place, query in asked(name, LIVELY)}
    assert [key for key, series in found.items() if not series] == []
    values = [value for series in found.values() for one in series for value in one.values]
    assert values
    assert not any(math.isnan(value) for value in values)


@pytest.mark.parametrize("name", NAMES)
def test_legends_name_labels_that_are_there(name: str, prometheus: Prometheus) -> None:
    """Each label in a legend, and each that a table has a column of, is one of the series that the query gives."""
    for panel in panels(built(name)):
        told: set[str] = set()
        for target in panel["targets"]:
            query = interpolate(target["expr"], {**RANGES, "job": LIVELY})
            labels = {label for one in prometheus.range(query, *SPAN) for label in one.labels}
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= labels, panel["title"]
            told |= labels
        if panel["type"] == "table":
            assert columns(panel) <= told, panel["title"]


def columns(table: Panel) -> set[str]:
    """The labels that a table shows."""
    (organized,) = (one["options"] for one in table["transformations"] if one["id"] == "organize")
    return {name for name in organized["indexByName"] if not name.startswith("Value")}


@pytest.mark.parametrize("name", NAMES)
def test_an_idle_endpoint_gives_no_nan(name: str, prometheus: Prometheus) -> None:
    """Where nothing ever happened a query gives zeros, or nothing at all."""
    for place, query in asked(name, IDLE):
        values = [value for one in prometheus.range(query, *SPAN) for value in one.values]
        assert all(map(math.isfinite, values)), f"{place}: {query}"


def test_replicas_are_added_and_a_restart_is_no_loss(prometheus: Prometheus) -> None:
    """Requests per second are those of all three replicas, before and after one of them began anew."""
    query = next(query for place, query in asked("overview.json", LIVELY) if place == "panel 'Requests'")
    (line,) = prometheus.range(query, *SPAN)
    whole_days = line.values[4:]
    assert whole_days == pytest.approx([len(REPLICAS) * GROWTH / STEP] * len(whole_days))
