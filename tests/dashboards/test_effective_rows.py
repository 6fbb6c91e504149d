"""The panel on effective rows: PromQL forms over replicas what exporter/stats/clusters.py forms of the pooled rows."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from dashboards.drift import effective_share
from exporter.stats import ColumnSpec, Layout, NumericBins, Windows
from tests.alert_rules.test_generate import promtools

MINUTES = 20
BINS = NumericBins((0.0, 1.0, 2.0))


def requests(seed: int, alike: float) -> list[NDArray[np.float64]]:
    """Batches of unequal length, whose rows are near each other."""
    rng = np.random.default_rng(seed)
    return [rng.normal(rng.normal(1.0, 1.0), alike, int(rng.integers(1, 30))) for _ in range(60)]


def counters(replica: str, windows: Windows) -> Iterator[dict[str, str]]:
    """Promtool's series of one replica: as much again every minute."""
    view = windows.totals()
    told = {"instance": replica, "job": "j", "model_name": "m", "model_version": "1"}
    told |= {"feature": "x", "reference": "r", "role": "live"}
    labels = ", ".join(f'{name}="{value}"' for name, value in told.items())
    bins = zip(BINS.labels, view.counts("x").tolist(), strict=True)
    cells = {f'model_feature_bin_total{{{labels}, bin="{name}"}}': count for name, count in bins}
    _, rows, matched = view.clusters[:, 0].tolist()
    cells |= {f"model_column_squared_rows_total{{{labels}}}": rows}
    cells |= {f"model_column_squared_bins_total{{{labels}}}": matched}
    for name, count in cells.items():
        yield {"series": name, "values": f"0+{count}x{2 * MINUTES}"}


@pytest.mark.parametrize("alike", [0.1, 1.0, 5.0])
def test_fleet_share_is_that_of_the_pooled_rows(tmp_path: Path, alike: float) -> None:
    """Two replicas with rows of their own; one expression, the panel's."""
    pooled = Windows(Layout((ColumnSpec("x", BINS),)), (300.0,))
    series: list[dict[str, str]] = []
    for replica in ("a", "b"):
        own = Windows(pooled.layout, (300.0,))
        for rows in requests(ord(replica), alike):
            for windows in (own, pooled):
                windows.update(1.0, {"x": rows}, requests=np.array([len(rows)]))
        series += counters(replica, own)
    view = pooled.totals()
    expected = view.effective_rows("x") / view.rows("x")
    query = effective_share().replace("$fleet_window", f"{MINUTES}m").replace('"$role"', '"live"')
    query = re.sub(r'"\$\w+"', '".*"', query)
    labels = '{model_name="m", model_version="1", feature="x", reference="r", role="live"}'
    one = {"expr": f"round(({query}) * 1e6)", "eval_time": f"{2 * MINUTES - 1}m"}
    found = [{"labels": labels, "value": round(expected * 1e6)}]
    block = {"interval": "1m", "input_series": series, "promql_expr_test": [one | {"exp_samples": found}]}
    file = tmp_path / "effective_test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [], "tests": [block]}))
    for command in promtools()[:1]:
        done = subprocess.run(
            [command, "test", "rules", file], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
