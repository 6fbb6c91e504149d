"""The rehearsal's pace: what ships, faster, and still in the order in which alerts reach people."""

import re
from pathlib import Path

import yaml

from alert_rules.generate import FILES, HERE
from tests.gameday import pace


def durations(folder: Path) -> dict[str, float]:
    """Seconds of `for` by alert."""
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    found: dict[str, float] = {}
    for path in folder.glob("*.yaml"):
        for group in yaml.safe_load(path.read_text()).get("groups", ()):
            for rule in group["rules"]:
                if told := re.fullmatch(r"(\d+)(ms|s|m|h)", str(rule.get("for", ""))):
                    found[rule["alert"]] = int(told[1]) * units[told[2]]
    return found


def test_every_file_is_there_and_has_a_pace_that_exists(tmp_path: Path) -> None:
    """All files of rules are written, and no pace is for a file that is gone."""
    pace.write_rules(tmp_path / "rules")
    names = {name for name, _ in FILES}
    assert {path.name for path in (tmp_path / "rules").iterdir()} == names
    assert pace.PACES.keys() <= names


def test_the_page_about_an_outage_stays_before_its_consequences(tmp_path: Path) -> None:
    """`for` of the page is shorter than that of what follows, there as here; what has none gets none."""
    pace.write_rules(tmp_path / "rules")
    for found in (durations(HERE), durations(tmp_path / "rules")):
        assert found["ModeltapModelDown"] < found["ModeltapErrorRatioHigh"]
        assert found["ModeltapModelWasDown"] == 0.0


def test_configuration_is_the_shipped_one_but_for_times_and_addresses(tmp_path: Path) -> None:
    """Routes, inhibitions and receivers are those of alertmanager.yaml; nothing leads to an example's address."""
    text = pace.write_configuration(tmp_path, "http://127.0.0.1:1", "127.0.0.1:2").read_text()
    assert "9095" not in text
    assert "9025" not in text
    made, shipped = yaml.safe_load(text), yaml.safe_load(pace.CONFIG.read_text())
    assert made["inhibit_rules"] == shipped["inhibit_rules"]
    assert made["route"]["group_by"] == shipped["route"]["group_by"]
    assert [each["name"] for each in made["receivers"]] == [each["name"] for each in shipped["receivers"]]
    assert made["route"]["group_wait"] == "500ms"
    assert made["route"]["routes"][0]["repeat_interval"] == "1h"
