"""Three sidecars with different traffic, one Prometheus: the fleet's drift is that of the pooled rows.

The shipped rules at a test's pace (the same generator, `--faster`): an hour is 20 s, a day eight minutes. Rows are
counted by `increase`, which extrapolates by up to a scrape at each end of a pane: up to a tenth of 20 s, more if
scrapes are late, but alike for all bins of a replica. Hence the tolerances: 20 % of the rows, 5 % of a statistic.
Traffic begins with a pane, so that none of it falls between the last scrape of one and the first of the next.
"""

import csv
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from alert_rules import generate
from exporter.stats import Profile, load
from tests.e2e import monitoring, sidecar
from tests.e2e.client import Ledger, connected, inference_request
from tests.e2e.exposition import samples, scrape, total
from tests.e2e.processes import LOOPBACK, Program, Running, answers, free_ports, running, wait_until
from tests.environments.tools import tools

MODEL = "echo"
FEATURES = ("x", "y", "z")
FASTER = 180.0
PANE_SECONDS = 3600.0 / FASTER
REFERENCE_ROWS = 4000
BATCH = 5
# By replica: how far its x has moved, in deviations of the reference, and how many requests it gets before and after
# one of them is started anew.
SHIFTS = (0.0, 0.4, 1.2)
REQUESTS = (60, 40)
# Counters for the output and for x; y and z are in windows only. The bins of both sides twice, and six series besides.
BUDGET = 60
ROWS_TOLERANCE, VALUE_TOLERANCE = 0.2, 0.05

Rows = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fleet:
    """What was measured: all rows that were sent, the profile, and where to ask."""

    prometheus: monitoring.Prometheus
    profile: Profile
    sent: Rows
    replicas: tuple[sidecar.Addresses, ...]

    def ask(self, what: str, statistic: str = "") -> float | None:
        chosen = f', statistic="{statistic}"' if statistic else ""
        return self.prometheus.scalar(f'column:model_{what}{{model_name="{MODEL}", feature="x"{chosen}}}')


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    profile = reference(folder)
    upstream, port = free_ports(2)
    ats = tuple(sidecar.addresses() for _ in SHIFTS)
    flags = ("--reference", str(profile), "--series-budget", str(BUDGET), "--tick-interval", "0.2")
    command = [sys.executable, "-m", "tests.e2e.upstream", str(upstream)]
    model = Program("upstream", command, folder, {"PYTHONPATH": str(sidecar.ROOT)})
    with ExitStack() as stack:
        stack.enter_context(running(model, f"http://{LOOPBACK}:{upstream}/v2/health/ready"))

        def start(place: int) -> Running:
            own = folder / str(place)
            own.mkdir(exist_ok=True)
            program = sidecar.sidecar(own, ats[place], upstream, flags)
            tap = stack.enter_context(running(program, ats[place].ready))
            wait_until(lambda: answers(ats[place].metrics), "the first scrape is answered", process=tap)
            return tap

        taps = [start(place) for place in range(len(SHIFTS))]
        prometheus = monitored(folder, stack, port, ats)
        begun(prometheus)
        sent = [send(place, at, REQUESTS[0]) for place, at in enumerate(ats)]
        seen(prometheus, sent)
        taps[1].stop()
        start(1)
        begun(prometheus)
        sent += [send(place + 3, at, REQUESTS[1]) for place, at in enumerate(ats)]
        yield Fleet(prometheus, load(profile), np.concatenate(sent), ats)


def reference(folder: Path) -> Path:
    """A profile as a user makes it; the output is what the upstream answers, a row's place in its request."""
    values = np.random.default_rng(1).normal(size=(REFERENCE_ROWS, len(FEATURES)))
    data, target = folder / "reference.csv", folder / "profile.json"
    with data.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((*FEATURES, "predict"))
        writer.writerows([*row, n % 3] for n, row in enumerate(values.tolist()))
    command = [sys.executable, "-m", "exporter", "profile", "--data", str(data), "--out", str(target)]
    command += ["--model", MODEL, "--prediction", "predict"]
    subprocess.run(command, cwd=sidecar.ROOT, check=True, capture_output=True)
    return target


def monitored(
    folder: Path, stack: ExitStack, port: int, ats: tuple[sidecar.Addresses, ...]
) -> monitoring.Prometheus:
    """Prometheus scrapes all, and has seen each bin at 0."""
    (rules := folder / "rules").mkdir()
    generate.write(rules, FASTER)
    targets = ",".join(f"{LOOPBACK}:{at.admin}" for at in ats)
    addresses = monitoring.Addresses(port, targets, f"{LOOPBACK}:9")
    program = monitoring.prometheus(tools() / "prometheus", folder, addresses, rules / "*.yaml")
    url = f"http://{LOOPBACK}:{port}"
    stack.enter_context(running(program, f"{url}/-/ready"))
    prometheus = monitoring.Prometheus(url)
    wait_until(
        lambda: prometheus.target_health() == ["up"] * len(ats),
        "all replicas are scraped",
        progress=prometheus.target_health,
    )
    return prometheus


def begun(prometheus: monitoring.Prometheus) -> None:
    """A pane has begun, and all replicas have been scraped since."""

    def early() -> bool:
        now = prometheus.scalar("vector(time())") or 0.0
        oldest = prometheus.scalar('min(timestamp(model_feature_bin_total{feature="x"}))') or 0.0
        return now % PANE_SECONDS < PANE_SECONDS / 4 and oldest >= now - now % PANE_SECONDS

    wait_until(early, "a pane begins")


def send(seed: int, at: sidecar.Addresses, requests: int) -> Rows:
    """The rows that one replica got."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(requests, BATCH, len(FEATURES)))
    rows[..., 0] += SHIFTS[seed % len(SHIFTS)]
    with connected(at.proxy, Ledger(), seed=seed) as client:
        for batch in rows.tolist():
            body = inference_request([dict(zip(FEATURES, row, strict=True)) for row in batch])
            assert client.infer(MODEL, body).code == 200
    return rows.reshape(-1, len(FEATURES))


def seen(prometheus: monitoring.Prometheus, sent: list[Rows]) -> None:
    """Nothing that a replica has counted is lost when it ends."""
    query = 'sum(last_over_time(model_feature_bin_total{feature="x"}[5m]))'
    count = sum(map(len, sent))
    wait_until(
        lambda: prometheus.scalar(query) == count,
        f"Prometheus has {count} rows",
        progress=lambda: prometheus.scalar(query),
    )


def expected(fleet: Fleet) -> dict[str, float]:
    """By numpy, of all rows together."""
    column = fleet.profile.column("x")
    assert column is not None
    counts, live = np.asarray(column.counts, float), column.bins.count(fleet.sent[:, 0]).astype(float)
    taken = counts + live > 0
    smooth = [(side[taken] + 0.5) / (side.sum() + 0.5 * taken.sum()) for side in (counts, live)]
    p, q = smooth
    difference = live / live.sum() - counts / counts.sum()
    pooled = ((live + counts) / (live.sum() + counts.sum()))[taken]
    return {
        "psi": float(((q - p) * np.log(q / p)).sum()),
        "jensen_shannon": float((p * np.log2(2 * p / (p + q)) + q * np.log2(2 * q / (p + q))).sum() / 2),
        "hellinger": float(np.sqrt(1 - np.sqrt(p * q).sum())),
        "total_variation": float(abs(difference).sum() / 2),
        "l_infinity": float(abs(difference).max()),
        "chi_square": float((difference[taken] ** 2 / pooled).sum()),
        "kolmogorov_smirnov": float(abs(np.cumsum(difference)).max()),
    }


def test_fleet_is_the_pooled_rows(fleet: Fleet) -> None:
    """Rows, effective rows and all seven statistics over a day, through the restart of a replica."""
    rows = pytest.approx(len(fleet.sent), rel=ROWS_TOLERANCE)
    wait_until(
        lambda: fleet.ask("rows:increase24h") == rows,
        f"the day has {len(fleet.sent)} rows",
        progress=lambda: fleet.ask("rows:increase24h"),
    )
    wanted = {name: pytest.approx(value, rel=VALUE_TOLERANCE) for name, value in expected(fleet).items()}
    wait_until(
        lambda: {name: fleet.ask("drift:24h", name) for name in wanted} == wanted,
        f"statistics are {expected(fleet)}",
        progress=lambda: {name: fleet.ask("drift:24h", name) for name in wanted},
    )
    assert fleet.ask("effective_rows:increase24h") == pytest.approx(len(fleet.sent), rel=0.3)
    psi, critical = (fleet.ask(what, "psi") for what in ("drift:24h", "drift_critical:24h"))
    assert psi is not None
    assert critical is not None
    assert psi > critical > 0.0


def test_over_the_budget_all_replicas_choose_alike(fleet: Fleet) -> None:
    """Only columns that every replica has counters of are told; those beyond are named by how many they are."""
    told = fleet.prometheus.by(
        f'column:model_drift:24h{{model_name="{MODEL}", statistic="psi"}}', "output", "feature"
    )
    assert set(told) == {("predict", ""), ("", "x")}
    for at in fleet.replicas:
        left = total(samples(scrape(at.metrics)), "model_columns_left_out", reason="budget")
        assert left == 2
