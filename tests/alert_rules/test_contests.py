"""Recording rules of contests against the statistic: labels of split traffic at three replicas, then promtool."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from alert_rules import contests as rules
from alert_rules.promql import family
from exporter.pending.contract import Limits
from exporter.pending.memory import Memory
from exporter.records.catalogue import metric
from exporter.stats.performance.split import SPLIT, advantage
from tests.alert_rules.test_generate import ROOT, promtool
from tests.labels import DAY, T0, World, run

SPOKEN = ("model_name", "model_version", "output", "statistic", "champion", "role")
Sums = dict[tuple[str, ...], dict[str, float]]


def exported(worlds: list[World]) -> tuple[list[dict[str, str]], Sums]:
    """What replicas export, as promtool wants it; and the sums of all of them, by contest and name."""
    series, sums = [], Sums()
    for number, world in enumerate(worlds):
        for one in world.labels.samples():
            if one.name == "model.contest.split":
                labels = dict(zip(metric(one.name).labels, one.labels, strict=True))
                own = sums.setdefault(tuple(labels[name] for name in SPOKEN), dict.fromkeys(SPLIT, 0.0))
                value = float(one.value)  # type: ignore[arg-type]
                own[labels["state"]] += value
                text = ", ".join(f'{key}="{told}"' for key, told in labels.items())
                name = f'{family(one.name)}{{job="modeltap", instance="{number}", {text}}}'
                series.append({"series": name, "values": f"0 {value!r}x60"})
    return series, sums


def near(name: str, contest: tuple[str, ...], value: float) -> dict[str, Any]:
    """A case that holds if a recorded value is this one, to 1e-9."""
    labels = dict(zip(SPOKEN, contest, strict=True)) | {"job": "modeltap", "comparison": "split"}
    told = ", ".join(f'{key}="{one}"' for key, one in labels.items())
    sample = {"labels": f"{{{told}}}", "value": 1}
    return {
        "expr": f"abs({name}{{{told}}} - {value!r}) < bool 1e-9",
        "eval_time": "50h",
        "exp_samples": [sample],
    }


@pytest.mark.parametrize("shared", [True, False])
def test_the_fleet_has_the_interval_of_all_its_sums(tmp_path: Path, shared: bool) -> None:
    """Three replicas with one store, or with one each: advantage, limits and rows enough are those of the statistic."""
    store = Memory(Limits())
    worlds = [
        World(store if shared else None, {"role_header": "x-role"}, label_maturity=1.0) for _ in range(3)
    ]
    rng = np.random.default_rng(3)

    async def body() -> None:
        for number in range(240):
            world, canary, truth = worlds[number % 3], rng.random() < 0.4, int(rng.random() < 0.5)
            score = float(np.clip(truth * 0.5 + rng.choice([0.1, 0.2, 0.4, 0.6]) - 0.1 * canary, 0.0, 1.0))
            world.predict(
                f"p{number}",
                {"y": [score]},
                at=T0 + 3600 * (number // 60),
                version="2" if canary else "1",
                fields=b"x-role: canary\r\n" if canary else b"",
            )
            await world.feed({"id": f"p{number}", "label": truth}, now=T0 + DAY / 2)
        for world in worlds:
            await world.written(T0 + DAY / 2)
        for world in worlds * 2:
            await world.labels.mature(T0 + 3 * DAY)

    run(*worlds, body=body)
    series, sums = exported(worlds)
    assert {contest[3] for contest in sums} == {"accuracy", "brier"}
    cases = []
    for contest, own in sums.items():
        found = advantage(np.array([own[name] for name in SPLIT]), rare=True)
        assert found is not None
        fewest, both = min(own["champion"], own["challenger"]), own["champion"] + own["challenger"]
        seldom = fewest * min(own["events"], both - own["events"]) / both
        for name, value in (
            (rules.ADVANTAGE, found.difference),
            (rules.LOW, found.low),
            (rules.HIGH, found.high),
            (rules.FEWEST, fewest),
            (rules.SELDOM, seldom),
        ):
            cases.append(near(name, contest, value))
    scene = {"interval": "1h", "input_series": series, "promql_expr_test": cases}
    files = [str(ROOT / "alert_rules" / "contests.yaml")]
    written = tmp_path / "scene_test.yaml"
    written.write_text(yaml.safe_dump({"rule_files": files, "evaluation_interval": "25h", "tests": [scene]}))
    promtool("test", "rules", written)
