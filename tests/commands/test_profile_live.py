"""A profile of rows and the same rows as traffic count alike, whatever their columns are."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from exporter.analysis.engine import Engine
from exporter.analysis.known import Known
from exporter.commands.profile import add_arguments, run
from exporter.stats import Profile, load
from tests.analysis.world import BOUNDS, NOW, feed, found, v1

ROWS = 200


def rows() -> list[dict[str, Any]]:
    """Numbers, categories, truth values, texts, times and vectors, with nulls among them."""
    rng = np.random.default_rng(11)
    words = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "while", "nobody", "looks"]
    return [
        {
            "age": None if n % 11 == 0 else round(float(rng.normal(40, 10)), 3),
            "city": ["rome", "oslo", "bonn"][n % 3],
            "vip": bool(n % 4),
            "note": None
            if n % 13 == 0
            else " ".join(rng.choice(words, 6 + n % 9)) + ("\x00" if n % 17 == 0 else ""),
            "at": f"2024-02-{1 + n % 28:02d}T{n % 24:02d}:30:00",
            "emb": rng.normal(size=70).round(4).tolist(),
        }
        for n in range(ROWS)
    ]


def profiled(folder: Path, given: list[dict[str, Any]]) -> Profile:
    """The profile that the command makes of them."""
    data, out = folder / "rows.jsonl", folder / "reference.json"
    predicted = [row | {"prediction": ["yes", "no"][n % 2]} for n, row in enumerate(given)]
    data.write_text("\n".join(map(json.dumps, predicted)) + "\n")
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    flags = ["--data", data, "--out", out, "--prediction", "prediction", "--model", "m", "--task", "binary"]
    assert run(parser.parse_args(list(map(str, flags)))) == 0
    return load(out)


def test_live_counts_equal_the_profiles(tmp_path: Path) -> None:
    """Every bin of every column holds the reference's own count when the reference's rows come as traffic."""
    given = rows()
    profile = profiled(tmp_path, given)
    assert set(profile.types.values()) >= {"numeric", "categorical", "boolean", "text", "datetime", "vector"}
    made = Engine([profile], Known(windows=(300.0,)), BOUNDS, NOW)
    answers = [["yes", "no"][n % 2] for n in range(ROWS)]
    feed(made, [v1(given[n : n + 10], answers[n : n + 10], model_version="1") for n in range(0, ROWS, 10)])
    samples = list(made.snapshot().samples())
    assert set(found(samples, "model.profile.mismatches").values()) == {0}
    assert {labels[-2:] for labels in found(samples, "model.info")} == {("binary", "profile")}
    live = {
        (labels[2], labels[4]): count
        for family in ("model.feature.bin", "model.prediction.bin")
        for labels, count in found(samples, family).items()
    }
    reference = {
        (labels[2] or labels[3], labels[5]): count
        for labels, count in found(samples, "model.reference.bin.rows").items()
    }
    assert live == reference
    assert {column.partition(":")[0] for column, _ in live} == {*given[0], "prediction"}
