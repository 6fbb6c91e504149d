"""What promtool says of queries over series that are given."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.alert_rules.test_generate import promtools


def holds(folder: Path, block: Mapping[str, Any]) -> None:
    """Every promtool finds what the block of tests expects."""
    file = folder / "queries_test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [], "tests": [dict(block)]}, allow_unicode=True))
    for command in promtools():
        done = subprocess.run(
            [command, "test", "rules", file], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
