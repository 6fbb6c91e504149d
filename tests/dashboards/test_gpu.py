"""Panels on GPUs take the sidecar's own readings, dcgm-exporter's, or both and show no device twice: by promtool."""

from pathlib import Path
from typing import Any

import pytest

from alert_rules.promql import FOREIGN, interpolate, selectors_in
from dashboards import gpu
from tests.dashboards.judged import holds

PLACE = 'namespace="ml", pod="model-0"'
BUILD = f'modeltap_build_info{{job="modeltap", instance="a", {PLACE}, version="1"}}'
OURS = f'hw_gpu_utilization{{job="modeltap", instance="a", {PLACE}, hw_id="GPU-1", hw_gpu_task="general"}}'
PUSHED = OURS.replace("utilization{", "utilization_ratio{")
THEIRS = 'DCGM_FI_DEV_GPU_UTIL{{job="dcgm", instance="node", namespace="ml", pod="{pod}", UUID="{device}"}}'
MINE = THEIRS.format(pod="model-0", device="GPU-1")
SECOND = THEIRS.format(pod="model-0", device="GPU-2")
OTHERS = THEIRS.format(pod="other-0", device="GPU-3")


def busy() -> str:
    panel = next(panel for panel in gpu.panels() if panel["title"] == "GPU busy")
    return interpolate(panel["targets"][0]["expr"])


@pytest.mark.parametrize(
    ("series", "shown"),
    [
        ({OURS: 0.25}, {"GPU-1": 0.25}),
        ({PUSHED: 0.25, MINE: 50}, {"GPU-1": 0.25}),
        ({MINE: 50, OTHERS: 75}, {"GPU-1": 0.5}),
        ({OURS: 0.25, MINE: 50, SECOND: 75}, {"GPU-1": 0.25, "GPU-2": 0.75}),
        ({OTHERS: 75}, {}),
    ],
    ids=["ours", "pushed", "theirs", "both", "of another pod"],
)
def test_either(tmp_path: Path, series: dict[str, float], shown: dict[str, float]) -> None:
    """Each device of the pod once, ours first; nothing of other pods."""
    query = f"max by (hw_id) ({busy()})"
    given: list[dict[str, Any]] = [{"series": name, "values": f"{value}x5"} for name, value in series.items()]
    samples = [{"labels": f'{{hw_id="{device}"}}', "value": value} for device, value in shown.items()]
    cases = [{"expr": query, "eval_time": "3m", "exp_samples": samples}]
    count = [{"labels": "{}", "value": len(shown)}] if shown else []
    cases.append({"expr": f"count({busy()})", "eval_time": "3m", "exp_samples": count})
    build = {"series": BUILD, "values": "1x5"}
    block = {"interval": "1m", "input_series": [build, *given], "promql_expr_test": cases}
    holds(tmp_path, block)


@pytest.mark.parametrize(
    ("device", "shown"),
    [
        ("GPU-3f2b1a90-4c1d-4a47-87bf-f5e744b43087", "GPU-3f2b1a90…3087"),
        ("MIG-GPU-3f2b1a90-4c1d-4a47-87bf-f5e744b43087/7/0", "MIG-GPU-3f2b…/7/0"),
        ("0000:01:00.0", "0000:01:00.0"),
    ],
)
def test_ids_in_legends_are_short(tmp_path: Path, device: str, shown: str) -> None:
    """A legend has room for the beginning and the end of a UUID; what is short stays whole."""
    series = f'hw_gpu_utilization{{hw_id="{device}"}}'
    query = f"max by (gpu) ({gpu.brief('hw_gpu_utilization')})"
    cases = [
        {"expr": query, "eval_time": "1m", "exp_samples": [{"labels": f'{{gpu="{shown}"}}', "value": 1}]}
    ]
    given = [{"series": series, "values": "1x5"}]
    holds(tmp_path, {"interval": "1m", "input_series": given, "promql_expr_test": cases})


def test_the_foreign_names_are_used_and_no_others() -> None:
    """The list of dcgm-exporter's series is what the panels read of it."""
    queries = (target["expr"] for panel in gpu.panels() for target in panel["targets"])
    read = {selector.name for query in queries for selector in selectors_in(interpolate(query))}
    assert {name for name in read if name and name.startswith("DCGM_")} == FOREIGN
