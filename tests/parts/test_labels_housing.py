"""The housing set replayed: predictions by month, labels late and shuffled; the areas are the known ones."""

import csv
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from exporter.demo import data
from tests.labels import DAY, World, figure, run

# Realised AUC by month, as the set's authors have it.
KNOWN = {"2021-06": 0.884, "2021-08": 0.704, "2021-10": 0.834}


def months() -> dict[str, list[dict[str, str]]]:
    folder = data.find_directory()
    with open(folder / "california_housing_analysis_gt.csv", newline="") as file:
        truth = {row["id"]: row["clf_target"] for row in csv.DictReader(file)}
    found = defaultdict(list)
    with open(folder / "california_housing_analysis.csv", newline="") as file:
        for row in csv.DictReader(file):
            found[row["timestamp"][:7]].append(row | {"truth": truth[row["id"]]})
    return found


def test_the_realised_areas(tmp_path: Path) -> None:
    """From replayed traffic and late labels, over SQLite: within the bound that bins have."""
    world = World(label_store=f"sqlite:{tmp_path}/pending.db", label_age=366.0)
    rng = np.random.default_rng(5)
    found = months()
    rows = {month: found[month] for month in KNOWN}

    async def body() -> None:
        late: list[tuple[dict[str, Any], float]] = []
        for month, listed in rows.items():
            at = float(np.datetime64(f"{month}-01T12", "s").astype(np.int64))
            for start in range(0, len(listed), 50):
                part = listed[start : start + 50]
                name = f"{month}-{start}"
                world.predict(name, {"y": [float(row["y_pred_proba"]) for row in part]}, at=at)
                labels = [
                    {"id": name, "row": place, "label": int(row["truth"])} for place, row in enumerate(part)
                ]
                late += [(label, at + 40 * DAY) for label in labels]
        order = rng.permutation(len(late)).tolist()
        now = max(time for _, time in late)
        for start in range(0, len(order), 500):
            part = [late[place][0] for place in order[start : start + 500]]
            assert set(await world.feed(*part, now=now)) == {"joined"}
        for row, (month, known) in zip(await world.rows(by="day", now=now), KNOWN.items(), strict=True):
            listed = rows[month]
            truth = np.array([int(one["truth"]) for one in listed])
            score = np.array([float(one["y_pred_proba"]) for one in listed])
            (area,) = (one for one in row["figures"] if one["name"] == "auc_roc")
            exact = metrics.roc_auc_score(truth, score)
            assert exact == pytest.approx(known, abs=0.0006)
            assert abs(area["value"] - exact) <= area["bound"] + 1e-9
            assert area["value"] == pytest.approx(known, abs=0.005)
            assert figure(row, "accuracy") == pytest.approx(metrics.accuracy_score(truth, score >= 0.5))
            assert (row["coverage"], row["from"][:7]) == (1.0, month)

    run(world, body=body)
