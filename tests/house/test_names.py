"""Metric names in code are the catalogue's, and every row of the catalogue is somebody's."""

import ast
import re
from collections.abc import Iterator

import pytest

from exporter.records.catalogue import CATALOGUE, metric
from tests.house.source import Module, modules

NAMES = {row.name for row in CATALOGUE}
_LIKE_A_NAME = re.compile(r"(?:model|modeltap|process|container|system|hw|gen_ai)(?:\.[a-z_]+)+")
# Modules that speak of metrics, in samples or in tables of families; elsewhere such a word may be a span attribute or a
# logger.
SPEAKERS = tuple(
    module
    for module in modules()
    if module.name != "exporter.records.catalogue"
    and any(
        isinstance(node, ast.Name | ast.alias)
        and ("Sample" in ast.unparse(node) or ast.unparse(node) in ("Family", "Field"))
        for node in ast.walk(module.tree)
    )
)
MODULES = pytest.mark.parametrize("module", SPEAKERS, ids=lambda module: module.name)


def texts(module: Module) -> Iterator[ast.Constant]:
    """String literals, but for the names of loggers."""
    loggers = {
        id(node.args[0])
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).endswith("getLogger")
    }
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in loggers:
            yield node


def samples(module: Module) -> Iterator[ast.Call]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Sample":
            yield node


@MODULES
def test_names_are_declared(module: Module) -> None:
    """A literal that looks like a metric name, given to a Sample or kept in a table, is in the catalogue."""
    for node in samples(module):
        first = node.args[0]
        if isinstance(first, ast.Constant):
            assert first.value in NAMES, (
                f"{module.file}:{first.lineno}: {first.value} is not in the catalogue"
            )
    for text in texts(module):
        if _LIKE_A_NAME.fullmatch(text.value):
            assert text.value in NAMES, f"{module.file}:{text.lineno}: {text.value} is not in the catalogue"


@MODULES
def test_labels_fit_their_row(module: Module) -> None:
    """Labels written out beside a written-out name are as many as the row declares."""
    for node in samples(module):
        name, labels = node.args[:2]
        if isinstance(name, ast.Constant) and isinstance(labels, ast.Tuple):
            starred = sum(isinstance(item, ast.Starred) for item in labels.elts)
            declared = len(metric(name.value).labels)
            where = f"{module.file}:{node.lineno}: {name.value}"
            if starred:
                assert len(labels.elts) - starred <= declared, where
            else:
                assert len(labels.elts) == declared, where


def test_every_row_is_yielded_by_somebody() -> None:
    """No metric is declared that no code names."""
    named = {text.value for module in SPEAKERS for text in texts(module)}
    assert named >= NAMES, f"declared and never named: {sorted(NAMES - named)}"


def test_there_are_speakers() -> None:
    """The search finds the modules that make samples."""
    assert {"analysis", "collect", "publish"} <= {module.room for module in SPEAKERS}
    assert sum(len(list(samples(module))) for module in SPEAKERS) > 30
