"""Values from a file of one's own: taken over the defaults, refused with what was expected."""

from pathlib import Path

import pytest
import yaml

from alert_rules import values
from alert_rules.generate import main

ROOT = Path(__file__).resolve().parents[2]


def test_own_values_make_other_rules(tmp_path: Path) -> None:
    """What a file names is other, what it leaves out stays; windows in names of recorded series too."""
    own = tmp_path / "own.yaml"
    own.write_text("performance_window: 14d\nmin_requests: 50.0\n")
    assert main(["--values", str(own), "--out", str(tmp_path / "rules")]) == 0
    text = (tmp_path / "rules" / "performance.yaml").read_text()
    assert "output:model_accuracy:ratio_increase14d" in text
    assert "increase7d" not in text
    assert ">= 50\n" in (tmp_path / "rules" / "traffic.yaml").read_text()
    own.write_text("{}")
    assert main(["--values", str(own), "--out", str(tmp_path / "rules")]) == 0
    for path in (tmp_path / "rules").iterdir():
        assert path.read_text() == (ROOT / "alert_rules" / path.name).read_text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slo_latency_seconds: 0.3", "slo_latency_seconds = 0.3 is no bound of the latency histogram"),
        ("eror_ratio: 0.1", "eror_ratio is no value; values.yaml lists them"),
        ("drift_for: 30", "drift_for = 30 is no text"),
        ("error_ratio: high", "error_ratio = high is no number"),
        ("- 1", "holds no values; expected lines such as error_ratio: 0.05"),
        ("{", "cannot be read"),
    ],
)
def test_senseless_files_are_refused(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that makes no sensible rules makes none, and says why."""
    own = tmp_path / "own.yaml"
    own.write_text(text)
    assert main(["--values", str(own), "--out", str(tmp_path / "rules")]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "rules").exists()


def test_committed_rules_need_no_file() -> None:
    """--values needs --out: the files here are those of values.yaml."""
    with pytest.raises(SystemExit, match="2"):
        main(["--values", "own.yaml"])


def test_every_value_is_declared_and_explained() -> None:
    """values.yaml holds each value of values.py, and no value is hidden in code."""
    assert set(yaml.safe_load(values.DEFAULTS.read_text())) == set(values.KINDS)
    hidden = {
        name for name, value in vars(values).items() if name.isupper() and isinstance(value, int | float)
    }
    assert {name.lower() for name in hidden} <= set(values.KINDS)
