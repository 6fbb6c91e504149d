"""The benchmark of decoding: its exchanges are what it says, its figures are of the best round."""

import json
import re
from pathlib import Path

import pytest

from bench import decode, generations
from exporter.decode import DIALECTS, observe

CASES = list(decode.cases())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.dialect} {case.name}")
def test_each_exchange_is_decoded_by_its_dialect(case: decode.Case) -> None:
    """A figure is never that of a refusal, nor of another dialect's decoder."""
    found = observe(case.exchange)
    assert found.protocol == case.dialect
    assert found.rows > 0
    assert found.inputs and found.outputs


def test_goals_are_for_the_sizes_that_they_name() -> None:
    """300 bytes with 13 features, a megabyte of JSON, 16 MiB of tensors; and of streams, each token."""
    lowest = {10: 200, 15_000: 950_000, 5000: 16 << 20}
    highest = {10: 400, 15_000: 1_250_000, 5000: (16 << 20) + 200}
    assert {case.goal for case in CASES if not case.tokens} == {0, *lowest}
    for case in CASES:
        if case.tokens:
            assert case.goal == generations.TOKEN_GOAL * case.tokens
        elif case.goal:
            assert lowest[case.goal] < len(case.exchange.request_body) < highest[case.goal], case.name


@pytest.mark.parametrize("case", [case for case in CASES if case.tokens], ids=lambda case: case.name)
def test_streams_have_the_tokens_that_they_name(case: decode.Case) -> None:
    """Each token is an event with content, and its time is that of the event."""
    made = observe(case.exchange).generation
    assert made is not None and made.chunks == case.tokens
    assert made.finish_reasons in {("stop",), ("length",), ("completed",), ()}
    assert made.first_content is not None and made.last_content is not None
    assert made.last_content - made.first_content == 20_000_000 * (case.tokens - 1)


def test_the_best_round_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time per call of the shortest round, without the one that finds how many calls make a round."""
    clock = iter([0, 1, 0, 40_000_000, 0, 10_000_000, 0, 30_000_000])
    monkeypatch.setattr(decode.time, "process_time_ns", lambda: next(clock))
    calls: list[int] = []
    assert decode.best(lambda: calls.append(1), 3, 1e-9) == 10_000


def test_table_and_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints a line per exchange and writes the same figures."""
    file = tmp_path / "figures.json"
    assert decode.main(["--rounds", "1", "--only", "tensorflow_serving", "--json", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    figures = json.loads(file.read_text())
    assert len(lines) == 1 + len(figures) == 1 + sum(case.dialect == "tensorflow_serving" for case in CASES)
    assert all(figure["us"] > 0 for figure in figures)
    rows = decode.markdown(figures).splitlines()
    assert len(rows) == 2 + len(figures)
    assert {row.count("|") for row in rows} == {7}
    for row, told in zip(rows[2:], lines[1:], strict=True):
        assert [cell.strip() for cell in row.split("|") if cell.strip()] == re.split(r" {2,}", told.strip())


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--only", "nobody"], ["--rounds", "x"]])
def test_arguments_that_are_none(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """They are told with what was expected, and nothing is measured."""
    with pytest.raises(SystemExit) as ended:
        decode.main(arguments)
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_every_dialect_that_reads_bodies_of_our_own_has_a_case() -> None:
    """The dialects of tensors and rows are all measured."""
    measured = {case.dialect for case in CASES}
    assert {"open_inference_v2", "kserve_v1", "tensorflow_serving"} <= measured
    assert measured <= {dialect.NAME for dialect in DIALECTS}
