"""`modeltap metrics`: the table, the page, and the end of a pipe."""

import subprocess
import sys

import pytest

from alert_rules.promql import families_in, undeclared_in
from exporter.commands.metrics import markdown, query, text
from exporter.records.catalogue import CATALOGUE, Metric, prometheus_name
from tests.house.source import ROOT


def test_every_family_is_there() -> None:
    """Once in the table and once on the page; a name may be the end of another."""
    told = [line.partition("{")[0] for line in text().splitlines() if line and not line.startswith(" ")]
    for row in CATALOGUE:
        assert told.count(prometheus_name(row)) == 1
        assert markdown().count(f"### {prometheus_name(row)}\n") == 1


def test_the_page_is_as_written() -> None:
    """docs/metrics.md is what `modeltap metrics --markdown` prints (`make golden` writes it)."""
    assert (ROOT / "docs" / "metrics.md").read_text() == markdown()


@pytest.mark.parametrize("row", CATALOGUE, ids=lambda row: row.name)
def test_query_reads_the_family(row: Metric) -> None:
    """Each query is PromQL, reads the family that it stands under, and nothing that does not exist."""
    assert prometheus_name(row) in families_in(query(row))
    assert undeclared_in(query(row)) == []


def test_reader_that_leaves_is_no_failure_of_ours() -> None:
    """`modeltap metrics | head -1` ends without a traceback."""
    script = f"{sys.executable} -m exporter metrics | head -1"
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
