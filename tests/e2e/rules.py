"""The shipped alert rules at a test's pace: the same groups, expressions and annotations with shorter times.

Invariant: only durations change (`for`, `keep_firing_for`, ranges, intervals); thresholds and selectors stay.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

RANGE = re.compile(r"\[(\d+[smhdw])(:\d*[smhdw]?)?\]")
SHORT_RANGE = "[10s]"
SHORT_FOR = "2s"


def shortened(sources: Iterable[Path], target: Path) -> Path:
    """Write one rule file made from all `sources`; groups are evaluated at the server's own interval."""
    groups = [_group(group) for source in sources for group in yaml.safe_load(source.read_text())["groups"]]
    target.write_text(yaml.safe_dump({"groups": groups}))
    return target


def _group(group: dict[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in group.items() if key != "interval"}
    return {**rest, "rules": [_rule(rule) for rule in group["rules"]]}


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    changed = {**rule, "expr": RANGE.sub(SHORT_RANGE, rule["expr"])}
    for key in ("for", "keep_firing_for"):
        if key in rule:
            changed[key] = SHORT_FOR
    return changed
