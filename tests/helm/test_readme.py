"""The table of values in the chart's README follows values.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import CHART, REPOSITORY, load

readme = load(REPOSITORY / "helm" / "readme.py")


def leaves(node: dict[str, Any], prefix: str = "") -> set[str]:
    """Dotted names of all values that are no mapping, and of empty mappings."""
    found: set[str] = set()
    for name, each in node.items():
        inner = leaves(each, f"{prefix}{name}.") if isinstance(each, dict) and each else {prefix + name}
        found |= inner
    return found


def test_table_is_current() -> None:
    """The README's table is what the script would write (else: python helm/readme.py)."""
    assert readme.main(["--check"]) == 0


def test_every_value_is_documented() -> None:
    """By a YAML parser's account, each value is in the table, itself or under a documented key."""
    text = (CHART / "values.yaml").read_text()
    named = {value.name for value in readme.documented(text)}
    for leaf in leaves(yaml.safe_load(text)):
        parts = leaf.split(".")
        assert {".".join(parts[:n]) for n in range(1, len(parts) + 1)} & named, leaf


def test_undocumented_key_is_refused() -> None:
    """A value without a description is refused by name and line."""
    with pytest.raises(readme.Undocumented, match=r"line 3: a\.b has no line"):
        readme.documented("# a comment of another kind\na:\n  b: 1\n")


def test_stale_table_is_found(tmp_path: Path) -> None:
    """The check fails on a stale table and writes nothing; a run mends it."""
    (tmp_path / "values.yaml").write_text("# -- First | second.\na: 1\n")
    (tmp_path / "README.md").write_text(f"x\n{readme.BEGIN}\n{readme.END}\ny\n")
    assert readme.main(["--check"], tmp_path) == 1
    assert readme.main([], tmp_path) == 0
    assert "| `a` | `1` | First \\| second. |" in (tmp_path / "README.md").read_text()
    assert readme.main(["--check"], tmp_path) == 0
