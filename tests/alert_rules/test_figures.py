"""Recording rules of figures against scikit-learn: labels joined by two replicas, a correction, then promtool."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from sklearn import metrics

from alert_rules import figures as rules
from alert_rules.promql import family
from exporter.pending.contract import Limits
from exporter.pending.memory import Memory
from exporter.records.catalogue import metric
from exporter.records.segment import parse_all
from tests.alert_rules.test_generate import ROOT, promtool
from tests.labels import DAY, T0, World, run

Series = dict[str, str]
ORDER = ["modeltap-performance", "modeltap-figures"]
OUTPUT = {"job": "modeltap", "model_name": "iris", "model_version": "1", "role": "live", "maturity": "mature"}


def series_of(
    known: Mapping[str, Any], outputs: Mapping[str, Sequence[Any]], items: Sequence[Any], **inputs: Any
) -> Series:
    """What two replicas that share a store export when all has matured; each label came to one of them."""
    store = Memory(Limits())
    worlds = [World(store, {"positive_class": ""} | dict(known), label_maturity=1.0) for _ in "ab"]
    found: Series = {}

    async def body() -> None:
        worlds[0].predict("q", outputs, inputs=inputs)
        await worlds[0].written(T0)
        # The first label is wrong at first.
        first = items[0] | {"label": items[1]["label"], "observed_at": T0 + 1}
        await worlds[1].feed(first)
        for place, world in enumerate(worlds):
            await world.feed(*[one | {"observed_at": T0 + 2} for one in items[place::2]])
        for world in worlds:
            await world.rows()
        for world in worlds:
            await world.labels.mature(T0 + 2 * DAY)
        for name, world in zip("ab", worlds, strict=True):
            for one in world.labels.samples():
                if one.name.startswith("model.performance.") and not isinstance(one.value, tuple):
                    labels = dict(zip(metric(one.name).labels, one.labels, strict=True))
                    labels |= {"job": "modeltap", "instance": name}
                    text = ", ".join(f'{key}="{value}"' for key, value in labels.items())
                    found[f"{family(one.name)}{{{text}}}"] = f"0 {float(one.value)!r}x120"

    run(*worlds, body=body)
    return found


def judge(tmp_path: Path, series: Series, wanted: Mapping[tuple[str, str], float], output: str) -> None:
    """promtool finds these values; a key is a recorded series with its selector, and the labels that it has besides."""
    tests = []
    for (name, extra), value in wanted.items():
        labels = dict(OUTPUT, output=output)
        labels |= dict(part.split("=") for part in extra.split("&") if part)
        told = ", ".join(f'{key}="{one}"' for key, one in labels.items())
        sample = {"labels": f"{{{told}}}", "value": round(float(value) * 1e5)}
        expr = f"round({name}{{{told}}} * 100000)"
        tests.append({"expr": expr, "eval_time": "100h", "exp_samples": [sample]})
    listed = [{"series": name, "values": values} for name, values in series.items()]
    scene = {"interval": "1h", "input_series": listed, "promql_expr_test": tests}
    files = [str(ROOT / "alert_rules" / name) for name in ("performance.yaml", "figures.yaml")]
    (tmp_path / "scene_test.yaml").write_text(
        yaml.safe_dump(
            {"rule_files": files, "evaluation_interval": "50h", "group_eval_order": ORDER, "tests": [scene]}
        )
    )
    promtool("test", "rules", tmp_path / "scene_test.yaml")


def test_agreement_of_classes(tmp_path: Path) -> None:
    """Weighted F1, kappa and Matthews' coefficient of three classes, log loss and top-k hits of their chances."""
    rng = np.random.default_rng(11)
    table = rng.dirichlet((0.5, 0.7, 0.4), size=60)
    truth = np.where(rng.random(60) < 0.5, table.argmax(axis=1), rng.integers(0, 3, size=60))
    names = ("cat", "dog", "owl")
    items = [{"id": "q", "row": row, "label": names[at]} for row, at in enumerate(truth.tolist())]
    outputs = {f"p.{name}": table[:, at].tolist() for at, name in enumerate(names)}
    called = table.argmax(axis=1)
    wanted = {
        (rules.F1_WEIGHTED, ""): metrics.f1_score(truth, called, average="weighted"),
        (rules.KAPPA, ""): metrics.cohen_kappa_score(truth, called),
        (rules.MATTHEWS, ""): metrics.matthews_corrcoef(truth, called),
        (rules.RATES, "statistic=top_1"): metrics.accuracy_score(truth, called),
    }
    judge(tmp_path, series_of({"task": "multiclass"}, outputs, items), wanted, "predicted_class")


def test_average_precision_and_groups(tmp_path: Path) -> None:
    """Scores that lie at edges of bins: average precision is scikit-learn's; rates by group are those of each group."""
    rng = np.random.default_rng(11)
    score = rng.integers(1, 20, size=80) / 20
    truth = (rng.random(80) < score).astype(int)
    sex = rng.choice(["F", "M"], size=80)
    items = [{"id": "q", "row": row, "label": at} for row, at in enumerate(truth.tolist())]
    known = {"task": "binary", "positive_class": "1", "label_groups": parse_all(["sex=F|M"])}
    series = series_of(known, {"y": score.tolist()}, items, sex=sex.tolist())
    wanted = {(rules.PR, ""): metrics.average_precision_score(truth, score)}
    wanted[rules.LOG_LOSS, ""] = metrics.log_loss(truth, score)
    for name in "FM":
        own = sex == name
        called, true = score[own] >= 0.5, truth[own] == 1
        (tn, fp), (fn, tp) = metrics.confusion_matrix(true, called)
        where = f"segment=sex&group={name}&class=1"
        wanted[rules.SELECTED, where] = called.mean()
        wanted[rules.TRUE_POSITIVE, where] = tp / (tp + fn)
        wanted[rules.FALSE_POSITIVE, where] = fp / (fp + tn)
    judge(tmp_path, series, wanted, "predicted_class")


def test_labels_of_a_row(tmp_path: Path) -> None:
    """Precision, recall and F1 by label, F1 over all of them, and how many rows were right in all."""
    rng = np.random.default_rng(11)
    table = rng.integers(0, 2, size=(50, 3)).astype(float)
    truth = rng.random((50, 3)) < 0.3 + 0.4 * table
    names = np.array(("red", "green", "blue"))
    items = [{"id": "q", "row": row, "label": names[own].tolist()} for row, own in enumerate(truth)]
    outputs = {f"p.{name}": table[:, at].tolist() for at, name in enumerate(names)}
    called = table > 0.5
    wanted = {
        (rules.MICRO, ""): metrics.f1_score(truth, called, average="micro"),
        (rules.RATES, "statistic=all_right"): metrics.accuracy_score(truth, called),
        (rules.RATES, "statistic=wrong_labels"): metrics.hamming_loss(truth, called) * 3 / 4,
    }
    scores: tuple[tuple[str, Callable[..., float]], ...] = (
        (rules.LABEL_PRECISION, metrics.precision_score),
        (rules.LABEL_RECALL, metrics.recall_score),
        (rules.LABEL_F1, metrics.f1_score),
    )
    for at, name in enumerate(names):
        wanted |= {(rule, f"class={name}"): score(truth[:, at], called[:, at]) for rule, score in scores}
    judge(tmp_path, series_of({"task": "multilabel"}, outputs, items), wanted, "predicted_class")


def test_errors_of_numbers(tmp_path: Path) -> None:
    """MSE is bias squared and variance; errors by group; pinball loss of a quantile, and how often it was reached."""
    rng = np.random.default_rng(11)
    predicted, truth = rng.normal(size=(2, 40))
    items = [{"id": "q", "row": row, "label": at} for row, at in enumerate(truth.tolist())]
    city = rng.choice(["rome", "bonn"], size=40)
    known = {"task": "regression", "label_groups": parse_all(["city=rome"])}
    errors = predicted.astype(np.float32) - truth
    wanted = {(rules.VARIANCE, ""): errors.var()}
    for name, group in (("rome", "rome"), ("bonn", "<other>")):
        wanted[rules.GROUP_MAE, f"segment=city&group={group}"] = np.abs(errors[city == name]).mean()
    wanted[rules.RATES, "statistic=pinball"] = metrics.mean_pinball_loss(truth, predicted, alpha=0.9)
    wanted[rules.RATES, "statistic=reached"] = (truth <= predicted).mean()
    series = series_of(known, {"y_q0.9": predicted.tolist()}, items, city=city.tolist())
    judge(tmp_path, series, wanted, "y_q0.9")
