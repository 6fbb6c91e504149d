"""The benchmark of a whole scrape: its parts are those of the sidecar, and it says what is wrong with arguments."""

import pytest

from bench import gather


def test_parts_make_a_scrape() -> None:
    """The engine has counted the exchanges, and the whole shows them."""
    samples, stages = gather.stages(2)
    assert samples > 100
    body, _ = stages[-1].call()  # type: ignore[misc]
    assert b'model_feature_bin_total{model_name="churn",model_version="2",feature="feature1"' in body
    assert [stage.what for stage in stages] == ["copied", "gathered", "held back", "rendered", "whole scrape"]


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--columns", "0"]])
def test_bad_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Told, with status 2."""
    assert gather.main(arguments) == 2
    assert "expected --rounds from 1 to 1000" in capsys.readouterr().err
