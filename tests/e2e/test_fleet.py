"""Three sidecars with different traffic, one Prometheus: drift is that of the pooled rows, and one ticket.

Requests, failures and latencies are those of all replicas together, by version, through the restart of one of them.

The shipped rules at a test's pace (the same generator, `--faster`): an hour is 20 s, a day eight minutes. Rows are
counted by `increase`, which extrapolates by up to a scrape at each end of a pane: up to a tenth of 20 s, more if
scrapes are late, but alike for all bins of a replica. Hence the tolerances: 20 % of
the rows, 15 % of a statistic, which moves twice as much as the weight of a replica does. Of the counts as they were
recorded every statistic is numpy's to a millionth.
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
from exporter.stats.bins import FloatArray
from tests.e2e import monitoring, sidecar
from tests.e2e.client import Ledger, connected, inference_request
from tests.e2e.exposition import samples, scrape, total
from tests.e2e.processes import LOOPBACK, Program, Running, answers, free_ports, running, wait_until
from tests.environments.tools import tools
from tests.gameday.inbox import Inbox, open_inbox
from tests.gameday.stage import managing

MODEL = "echo"
FEATURES = ("x", "y", "z")
FASTER = 180.0
PANE_SECONDS = 3600.0 / FASTER
ATTEMPTS = 4
REFERENCE_ROWS = 4000
BATCH = 5
# By replica: how far its x has moved, in deviations of the reference, and how many requests it gets before and after
# one of them is started anew.
SHIFTS = (0.0, 0.4, 1.7)
REQUESTS = (60, 40)
# Requests to each replica that name another version, and that fail: nine in all, too few to spend a budget.
OTHER_VERSION, FAILED = 20, 3
# Counters for the output and for x; y and z are in windows only. The bins of both sides twice, and six series besides.
BUDGET = 60
ROWS_TOLERANCE, VALUE_TOLERANCE = 0.2, 0.15

STATISTICS = (
    *("psi", "jensen_shannon", "hellinger", "total_variation", "l_infinity", "chi_square"),
    "kolmogorov_smirnov",
)
FAILING = inference_request([{"fail": 1.0}])
DRIFT = "ModeltapFeatureDrift"
Rows = NDArray[np.float64]
# Up to four attempts of about half a minute, and twenty seconds of waiting.
pytestmark = pytest.mark.timeout(400)


@dataclass(frozen=True, slots=True)
class Fleet:
    """What was measured: all rows that were sent, the profile, and where to ask."""

    prometheus: monitoring.Prometheus
    inbox: Inbox
    profile: Profile
    sent: Rows
    replicas: tuple[sidecar.Addresses, ...]

    def ask(self, what: str, statistic: str = "") -> float | None:
        chosen = f', statistic="{statistic}"' if statistic else ""
        return self.prometheus.scalar(f'column:model_{what}{{model_name="{MODEL}", feature="x"{chosen}}}')


class Replicas:
    """The sidecars, each with the rows that it has counted since its start."""

    def __init__(self, folder: Path, stack: ExitStack, profile: Path, upstream: int) -> None:
        self._folder = folder
        self._stack = stack
        self._flags = ("--reference", str(profile), "--series-budget", str(BUDGET), "--tick-interval", "0.2")
        self._upstream = upstream
        self.ats = tuple(sidecar.addresses() for _ in SHIFTS)
        self.counted: dict[tuple[str, ...], float] = {}
        self._taps = [self._start(at) for at in self.ats]

    def _start(self, at: sidecar.Addresses) -> Running:
        own = self._folder / str(at.admin)
        own.mkdir(exist_ok=True)
        program = sidecar.sidecar(own, at, self._upstream, self._flags)
        tap = self._stack.enter_context(running(program, at.ready))
        wait_until(lambda: answers(at.metrics), "the first scrape is answered", process=tap)
        self.counted[(f"{LOOPBACK}:{at.admin}",)] = 0.0
        return tap

    def restart(self, place: int) -> None:
        self._taps[place].stop()
        self._taps[place] = self._start(self.ats[place])

    def send(self, seed: int, requests: int) -> Rows:
        """To each its own traffic; all rows."""
        sent = [send(seed + place, at, requests) for place, at in enumerate(self.ats)]
        for at, rows in zip(self.ats, sent, strict=True):
            self.counted[(f"{LOOPBACK}:{at.admin}",)] += len(rows)
        return np.concatenate(sent)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Traffic that outlasts its pane on a busy machine is sent again, to a Prometheus that knows nothing of it."""
    folder = tmp_path_factory.mktemp("fleet")
    profile = reference(folder)
    (upstream,) = free_ports(1)
    command = [sys.executable, "-m", "tests.e2e.upstream", str(upstream)]
    model = Program("upstream", command, folder, {"PYTHONPATH": str(sidecar.ROOT)})
    with ExitStack() as stack:
        stack.enter_context(running(model, f"http://{LOOPBACK}:{upstream}/v2/health/ready"))
        replicas = Replicas(folder, stack, profile, upstream)
        for attempt in range(ATTEMPTS):
            own = folder / f"attempt{attempt}"
            own.mkdir()
            with ExitStack() as life:
                inbox = life.enter_context(open_inbox())
                prometheus = monitored(own, life, replicas.ats, inbox)
                bursts = [burst(prometheus, replicas, 2 * attempt, REQUESTS[0])]
                replicas.restart(1)
                bursts.append(burst(prometheus, replicas, 2 * attempt + 1, REQUESTS[1]))
                if all(in_time for _, in_time in bursts):
                    sent = np.concatenate([rows for rows, _ in bursts])
                    yield Fleet(prometheus, inbox, load(profile), sent, replicas.ats)
                    return
        raise AssertionError(f"no traffic within {PANE_SECONDS / 2:g} s in {ATTEMPTS} attempts")


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
    folder: Path, stack: ExitStack, ats: tuple[sidecar.Addresses, ...], inbox: Inbox
) -> monitoring.Prometheus:
    """A Prometheus of its own with the shipped rules, and an Alertmanager with the shipped routes."""
    (rules := folder / "rules").mkdir()
    generate.write(rules, FASTER)
    (port,) = free_ports(1)
    targets = ",".join(f"{LOOPBACK}:{at.admin}" for at in ats)
    manager = stack.enter_context(managing(folder, inbox))
    addresses = monitoring.Addresses(port, targets, manager.removeprefix("http://"))
    program = monitoring.prometheus(tools() / "prometheus", folder, addresses, rules / "*.yaml")
    url = f"http://{LOOPBACK}:{port}"
    stack.enter_context(running(program, f"{url}/-/ready"))
    return monitoring.Prometheus(url)


def burst(
    prometheus: monitoring.Prometheus, replicas: Replicas, number: int, requests: int
) -> tuple[Rows, bool]:
    """Traffic from the beginning of a pane; whether Prometheus had all of it well before the pane's end.

    Before it all replicas have been scraped in that pane, with what they had counted until then.
    """
    begun = wait_until(lambda: _quiet(prometheus, replicas), "a pane begins", seconds=120.0)
    rows = replicas.send(len(SHIFTS) * number, requests)
    wait_until(
        lambda: _counted(prometheus) == replicas.counted,
        f"Prometheus has {replicas.counted}",
        seconds=120.0,
        progress=lambda: _counted(prometheus),
    )
    return rows, _now(prometheus) < begun + 0.75 * PANE_SECONDS


def _quiet(prometheus: monitoring.Prometheus, replicas: Replicas) -> float | None:
    """When the pane began, if that is not long ago and all have been scraped since."""
    now = _now(prometheus)
    begun = now - now % PANE_SECONDS
    early = now < begun + PANE_SECONDS / 4
    return begun if early and _counted(prometheus, begun) == replicas.counted else None


def _counted(prometheus: monitoring.Prometheus, since: float = 0.0) -> dict[tuple[str, ...], float]:
    """Rows by replica, of those that were scraped since then."""
    bins = 'model_feature_bin_total{feature="x"}'
    return prometheus.by(f"sum by (instance) ({bins} and timestamp({bins}) >= {since:.3f})", "instance")


def _now(prometheus: monitoring.Prometheus) -> float:
    return prometheus.scalar("vector(time())") or 0.0


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


def by_numpy(fleet: Fleet, live: FloatArray) -> dict[str, float]:
    """All statistics of these counts against the profile's."""
    column = fleet.profile.column("x")
    assert column is not None
    counts = np.asarray(column.counts, float)
    taken = counts + live > 0
    p, q = ((side[taken] + 0.5) / (side.sum() + 0.5 * taken.sum()) for side in (counts, live))
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


def told(fleet: Fleet) -> dict[str, float | None]:
    return {name: fleet.ask("drift:24h", name) for name in STATISTICS}


def recorded(fleet: Fleet) -> dict[str, float]:
    """By numpy, of the counts that Prometheus has recorded."""
    column = fleet.profile.column("x")
    assert column is not None
    query = f'column_bin:model_rows:increase24h{{model_name="{MODEL}", feature="x"}}'
    found = fleet.prometheus.by(query, "bin")
    return by_numpy(fleet, np.array([found[label,] for label in column.bins.labels]))


def test_fleet_is_the_pooled_rows(fleet: Fleet) -> None:
    """Rows, effective rows and all seven statistics over a day, through the restart of a replica."""
    rows = pytest.approx(len(fleet.sent), rel=ROWS_TOLERANCE)
    wait_until(
        lambda: fleet.ask("rows:increase24h") == rows,
        f"the day has {len(fleet.sent)} rows",
        progress=lambda: fleet.ask("rows:increase24h"),
    )
    column = fleet.profile.column("x")
    assert column is not None
    pooled = by_numpy(fleet, column.bins.count(fleet.sent[:, 0]).astype(float))
    wait_until(
        lambda: told(fleet) == pytest.approx(pooled, rel=VALUE_TOLERANCE),
        f"statistics are {pooled}",
        progress=lambda: told(fleet),
    )
    # Until the next pane has been added to the day, which may be now.
    wait_until(
        lambda: told(fleet) == pytest.approx(recorded(fleet), rel=1e-6),
        "statistics are those of the recorded counts",
        progress=lambda: (told(fleet), recorded(fleet)),
    )
    assert fleet.ask("effective_rows:increase24h") == pytest.approx(len(fleet.sent), rel=0.3)
    psi, critical = (fleet.ask(what, "psi") for what in ("drift:24h", "drift_critical:24h"))
    assert psi is not None
    assert critical is not None
    assert psi > critical > 0.0
    chosen = f'{{model_name="{MODEL}", feature="x"}}'
    for what in ("drift_floor", "drift_critical", "drift_excess"):
        judged = fleet.prometheus.by(f"column:model_{what}:24h{chosen} >= 0", "statistic")
        assert {statistic for (statistic,) in judged} == set(STATISTICS), what


def test_over_the_budget_all_replicas_choose_alike(fleet: Fleet) -> None:
    """Only columns that every replica has counters of are told; those beyond are named by how many they are."""
    found = fleet.prometheus.by(
        f'column:model_drift:24h{{model_name="{MODEL}", statistic="psi"}}', "output", "feature"
    )
    assert set(found) == {("predict", ""), ("", "x")}
    for at in fleet.replicas:
        left = total(samples(scrape(at.metrics)), "model_columns_left_out", reason="budget")
        assert left == 2


def test_drift_of_the_fleet_is_one_ticket(fleet: Fleet) -> None:
    """Three replicas, one of which has not moved: one notification, about one column."""
    wait_until(
        lambda: fleet.inbox.found("ticket", DRIFT, "firing"),
        "a ticket arrives",
        seconds=120.0,
        progress=lambda: (fleet.inbox.summary(), told(fleet)),
    )
    (ticket,) = fleet.inbox.found("ticket", DRIFT, "firing")
    assert (ticket.alerts, ticket.labels["feature"]) == (1, "x")
    assert "instance" not in ticket.labels


def test_requests_are_those_of_all_replicas(fleet: Fleet) -> None:
    """Requests by version, and failures, of all replicas, through the restart of one of them."""
    requests = len(SHIFTS) * sum(REQUESTS)
    body = inference_request([dict.fromkeys(FEATURES, 0.0)])
    for place, at in enumerate(fleet.replicas):
        with connected(at.proxy, Ledger(), seed=place) as client:
            for _ in range(OTHER_VERSION):
                assert client.infer(MODEL, body, version="2").code == 200
            for _ in range(FAILED):
                assert client.infer(MODEL, FAILING).code == 500

    def counted() -> tuple[float, ...]:
        other = f'model_name="{MODEL}", model_version="2"'
        count = "sum(increase(model_request_duration_seconds_count{%s}[10m]))"
        whole, second = (
            fleet.prometheus.scalar(count % each) or 0.0 for each in ('operation="predict"', other)
        )
        # They failed after the restart. By increase a series that begins with its first failure would lack it.
        wrong = fleet.prometheus.scalar("sum(model_request_errors_total)")
        return whole - second, second, wrong or 0.0

    failed = len(SHIFTS) * FAILED
    expected = (requests + failed, len(SHIFTS) * OTHER_VERSION, failed)
    wait_until(
        lambda: counted() == pytest.approx(expected, rel=ROWS_TOLERANCE),
        f"requests without a version, of version 2, and failures: {expected}",
        seconds=120.0,
        progress=counted,
    )


def test_recorded_series_know_no_replica(fleet: Fleet) -> None:
    """One series of an objective for the model, one of traffic for each version, of three replicas and two versions."""
    for expression in ("model:model_slo_requests:increase1h", "model:model_slo_burn:ratio_increase1h"):
        chosen = f'last_over_time({expression}{{slo="availability", model_name="{MODEL}"}}[10m])'
        (labels,) = [each.labels.keys() - {"__name__"} for each in fleet.prometheus.query(chosen)]
        assert labels == {"job", "model_name", "slo"}
    for expression in ("model:model_requests:rate5m", "model:model_request_errors:ratio_rate5m"):
        query = f'last_over_time({expression}{{model_name="{MODEL}", model_version="2"}}[10m])'
        found = wait_until(lambda query=query: fleet.prometheus.query(query), f"{expression} is recorded")
        assert [each.labels.keys() - {"__name__"} for each in found] == [
            {"job", "model_name", "model_version"}
        ]
