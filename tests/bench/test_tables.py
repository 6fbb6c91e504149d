"""tables.py: programs of their own, each of which exists, prints figures, and costs no other when it fails."""

import importlib

import pytest

from bench import tables
from bench.tables import TABLES, Table, markdown, printed


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_each_is_a_program(table: Table) -> None:
    """It takes `--rounds`, and its peers' words are known to it."""
    program = importlib.import_module(f"bench.{table.name}")
    for words in (["--rounds", "0"], [*table.peers, "--rounds", "0"]):
        try:
            status = program.main(words)
        except SystemExit as end:
            status = end.code
        assert status == 2


def test_what_is_printed_is_kept() -> None:
    """Its text as it stands, below its title."""
    said: list[str] = []
    (gather,) = (table for table in TABLES if table.name == "gather")
    found = printed(gather, 1, False, said.append)
    assert not found.problem
    assert "whole scrape" in found.text
    assert said == [gather.title]
    assert found.text in markdown([found])


def test_one_that_fails_costs_its_own_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how it ended; one that does not end is ended."""
    found = printed(Table("nothing", "nothing"), 1, False, lambda line: None)
    assert "bench.nothing: exit status 1" in found.problem and "nothing" in markdown([found])
    monkeypatch.setattr(tables, "SECONDS_LIMIT", 0.01)
    assert "still running after 0.01 s" in printed(TABLES[0], 1, False, lambda line: None).problem
