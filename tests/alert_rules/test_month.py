"""A month under the shipped rules: the decision is PromQL's, of windows that tests/stats/month.py simulates.

How windows are formed of counters, and PSI and its yardsticks of windows, is shown to ten digits by the scenes; here
are four weeks of what these rules record, every half day, and the records and alerts that decide.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from alert_rules import drift_long
from alert_rules.rules import Group, as_yaml
from exporter.stats.bins import FloatArray
from tests.alert_rules.scenes import Json, selector
from tests.alert_rules.test_generate import promtools
from tests.stats.month import BINS, HOURS, REFERENCE_ROWS, Judged, Stream, hours, judged, tickets

COLUMNS, EVERY = 100, 12
DAY, WEEK = 24, 168
QUIET = [Stream(f"quiet {rows}", rows) for rows in (100, 1000, 10_000, 100_000)]
# Days that differ as much as the effect: some columns deserve a ticket, by the rules, and some do not.
UNSTEADY = Stream("unsteady", 1000, spread=110.0)
ALERTED = 'ALERTS{alertname=~"Modeltap(Feature|Prediction)Drift"}'


def windows(stream: Stream, columns: int) -> tuple[Judged, Judged]:
    """A day and a week, as the rules are evaluated."""
    rng = np.random.default_rng(stream.rows)
    found = hours(stream, columns, rng)
    reference = rng.multinomial(REFERENCE_ROWS, np.full(BINS, 1 / BINS), size=columns)
    day, week = (judged(found, reference, length).every(EVERY) for length in (DAY, WEEK))
    return day, week


def recorded(name: str, window: str, length: int, of: Judged) -> Iterator[Json]:
    """What earlier rules record; nothing before the first full window."""
    parts = {
        f"drift:{window}": of.psi,
        f"drift_critical:{window}": of.critical,
        f"drift_certain:{window}": of.certain,
        f"effective_rows:increase{window}": of.effective,
    }
    for what, values in parts.items():
        for place, row in enumerate(values):
            labels = {"job": "modeltap", "model_name": name, "model_version": "1", "role": "live"}
            labels |= {"reference": "0a1b2c3d", "feature": f"f{place}"}
            if "rows" not in what:
                labels["statistic"] = "psi"
            yield {"series": selector(f"column:model_{what}", labels), "values": _told(row, length)}


def _told(row: FloatArray, length: int) -> str:
    return f"_x{length // EVERY} " + " ".join(f"{value:.6g}" for value in row.tolist())


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the group of days and weeks what decides."""
    whole = drift_long.group()
    deciding = [rule for rule in whole.records if "drift_found" in rule.name]
    path = tmp_path_factory.mktemp("month") / "rules.yaml"
    path.write_text(yaml.safe_dump(as_yaml(Group("month", deciding, whole.alerts)), width=100_000))
    return path


def evaluated(rules: Path, series: list[Json], *expected: Json) -> None:
    """promtool agrees."""
    at = f"{HOURS - EVERY}h"
    block = {"interval": f"{EVERY}h", "input_series": series}
    block |= {"promql_expr_test": [{**each, "eval_time": at} for each in expected]}
    document = {"rule_files": [rules.name], "evaluation_interval": f"{EVERY}h", "tests": [block]}
    path = rules.with_name("month_test.yaml")
    path.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, width=1_000_000))
    done = subprocess.run(
        [promtools()[0], "test", "rules", path], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[:4000]


def test_a_quiet_month_of_a_hundred_columns_gives_at_most_one_ticket(rules: Path) -> None:
    """At a hundred to a hundred thousand rows an hour, pending alerts counted as tickets; what moved has one."""
    series = []
    for stream in QUIET:
        for window, length, each in zip(("24h", "7d"), (DAY, WEEK), windows(stream, COLUMNS), strict=True):
            series += recorded(stream.name, window, length, each)
            if stream is QUIET[0]:
                one = Judged(each.psi[:1] + 0.15, each.critical[:1], each.certain[:1], each.effective[:1])
                series += recorded("moved", window, length, one)
    count = f"count by (model_name) (count by (model_name, feature) (count_over_time({ALERTED}[28d])))"
    evaluated(
        rules,
        series,
        {"expr": f"{count} > 1", "exp_samples": []},
        {
            "expr": "count(count by (model_name, feature) (last_over_time(column:model_drift:24h[1h])))",
            "exp_samples": [{"labels": "{}", "value": COLUMNS * len(QUIET) + 1}],
        },
        {
            "expr": f'count(count_over_time({ALERTED[:-1]}, model_name="moved", alertstate="firing"}}[28d]))',
            "exp_samples": [{"labels": "{}", "value": 1}],
        },
    )


def test_the_simulation_decides_as_the_rules_do(rules: Path) -> None:
    """Column by column: what tests/stats/month.py calls a ticket is what the rules alert for."""
    day, week = windows(UNSTEADY, 40)
    asked = tickets(day, week)
    assert 5 < asked.sum() < 35
    series = [*recorded("m", "24h", DAY, day), *recorded("m", "7d", WEEK, week)]
    samples = [{"labels": f'{{feature="f{place}"}}', "value": 1} for place in np.flatnonzero(asked).tolist()]
    expr = f"count by (feature) (count by (feature) (count_over_time({ALERTED}[28d])))"
    evaluated(rules, series, {"expr": expr, "exp_samples": samples})
