"""What a column costs Prometheus: recorded series, as docs/statistics.md tells them."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from tests.alert_rules.scenes import Column, Json, block, recorded, scraped, truth
from tests.alert_rules.test_generate import ROOT, promtools

BINS = (*(f"{edge}.0" for edge in range(1, 10)), "+Inf", "<null>", "<nan>")
ROWS = (*(20,) * 10, 0, 0)
DAYS = 9
LABELS = {"hour": "1h", "long": "24h|7d", "week": "week", "versions": "versions"}


def told() -> dict[str, int]:
    """What the page says."""
    page = " ".join((ROOT / "docs" / "statistics.md").read_text().split())
    found = re.search(
        r"Cost: (\d+) recorded series per numeric column of ten bins[^:]*: (\d+) of the hour, (\d+) of a day and a "
        r"week, (\d+) of last week and (\d+) of other versions",
        page,
    )
    assert found is not None
    return dict(zip(("all", "hour", "long", "week", "versions"), map(int, found.groups()), strict=True))


def column(version: str) -> Column:
    """Ten bins, the special ones empty."""
    reference = (*(100,) * 10, 0, 0)
    return Column("m", [(DAYS * 24, ROWS)], "feature", reference, 1, {"model_version": version}, bins=BINS)


def scene(part: str) -> tuple[str, Sequence[Json], str]:
    """The file of rules, what it reads, and how often."""
    one, other = column("1"), column("2")
    if part == "hour":
        return "drift", scraped([one]), "30m"
    if part == "long":
        return "drift_long", [*recorded("1h", [one]), *one.ordered()], "1h"
    both = [series for each in (one, other) for series in each.ordered()]
    return "drift_pairs", [*recorded("24h", [one, other]), *both], "1h"


@pytest.mark.parametrize("part", LABELS)
def test_series_are_as_many_as_the_page_tells(tmp_path: Path, part: str) -> None:
    """One column of one version of a model."""
    rules, series, step = scene(part)
    chosen = '{__name__=~"column.*"' if part == "hour" else f'{{__name__=~"column.*({LABELS[part]})"'
    expected = truth(f'{chosen}, model_version="1"}}', "3h" if part == "hour" else "8d", told()[part])
    document = {
        "rule_files": [str(ROOT / "alert_rules" / f"{rules}.yaml")],
        "evaluation_interval": step if part == "hour" else "24h",
        "tests": [block(part, step, series, expected)],
    }
    path = tmp_path / "cost_test.yaml"
    path.write_text(yaml.safe_dump(document, width=10_000))
    done = subprocess.run(
        [promtools()[0], "test", "rules", path], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_parts_are_the_whole() -> None:
    """The sum is that of its parts."""
    whole, *parts = told().values()
    assert whole == sum(parts)
