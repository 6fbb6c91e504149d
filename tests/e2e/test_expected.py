"""Expected performance with the real commands: `modeltap profile` of test rows, a sidecar, one month of scores."""

import csv
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from exporter.demo import data
from tests.app.command import INFER, Sidecar, python_path
from tests.app.upstream import Upstream
from tests.e2e.processes import LOOPBACK, wait_until
from tests.e2e.test_labels import metric

ROLES = ("--target", "clf_target", "--prediction", "y_pred", "--score", "y_pred_proba")
# Of 2021-08 in the housing set (docs/performance.md).
ACCURACY, AREA = 0.652, 0.7085


def profiled(folder: Path) -> Path:
    """Training data and test rows are the reference file here: what counts is that the command knows the latter."""
    found = data.find_directory() / data.TRAINING_FILE
    rows = list(csv.DictReader(found.read_text().splitlines()))
    columns = ("clf_target", "y_pred", "y_pred_proba")
    made, out = folder / "rows.csv", folder / "profile.json"
    with made.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    command = [
        sys.executable,
        "-m",
        "exporter",
        "profile",
        "--data",
        str(made),
        *ROLES,
        "--test-rows",
        str(made),
    ]
    environment = {**os.environ, **python_path()}
    subprocess.run(
        [*command, "--out", str(out)], check=True, timeout=100, env=environment, capture_output=True
    )
    return out


def answer() -> bytes:
    """The month's scores and calls, as one answer of a model."""
    text = (data.find_directory() / data.LATER_FILE).read_text()
    rows = [row for row in csv.DictReader(text.splitlines()) if row["timestamp"].startswith("2021-08")]
    outputs = [
        {"name": name, "shape": [len(rows)], "datatype": kind, "data": [read(row[name]) for row in rows]}
        for name, kind, read in (
            ("y_pred", "INT64", lambda cell: int(float(cell))),
            ("y_pred_proba", "FP64", float),
        )
    ]
    return json.dumps({"model_name": "echo", "model_version": "1", "outputs": outputs}).encode()


def ask(sidecar: Sidecar, rows: int) -> None:
    """One request of so many rows."""
    tensor = {"name": "x", "shape": [rows, 1], "datatype": "FP64", "data": [0.5] * rows}
    url = f"http://{LOOPBACK}:{sidecar.listen}{INFER}"
    with urllib.request.urlopen(url, json.dumps({"inputs": [tensor]}).encode(), timeout=60) as answered:
        assert answered.status == 200


def test_a_month_without_labels(tmp_path: Path) -> None:
    """What docs/performance.md says of 2021-08 is on /metrics and at /v1/drift, and no label was ever sent."""
    profile = profiled(tmp_path)
    flags = ("--reference", str(profile), "--series-hold", "0", "--upstream-metrics", "off")
    with Upstream() as model:
        model.whole = answer()
        sidecar = Sidecar(tmp_path, model.port, flags)
        try:
            sidecar.started()
            ask(sidecar, 744)

            def told(statistic: str, state: str = "value") -> float:
                named = {"statistic": statistic, "state": state, "window": "5m"}
                return metric(sidecar, "model_expected_performance", **named)

            wait_until(lambda: told("accuracy") > 0, "something is expected", 60, sidecar)
            assert told("accuracy") == pytest.approx(ACCURACY, abs=0.0005)
            assert told("auc_roc") == pytest.approx(AREA, abs=0.0005)
            assert told("accuracy", "low") < ACCURACY < told("accuracy", "high")
            assert told("accuracy", "bound") == 0.0 < told("auc_roc", "bound")
            assert metric(sidecar, "model_expected_unknown_ratio", window="5m") == 0.0
            assert metric(sidecar, "model_reference_score_rows") == 5832
            with urllib.request.urlopen(
                f"http://{LOOPBACK}:{sidecar.admin}/v1/drift?window=5m", timeout=60
            ) as page:
                (one,) = json.load(page)["models"][0]["expected"]
            assert (one["output"], one["state"], one["rows"]) == ("y_pred_proba", "ready", 744.0)
        finally:
            sidecar.stop()
