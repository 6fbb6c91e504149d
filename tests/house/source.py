"""The package as syntax trees: modules, their rooms, and what they import."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGE = "exporter"


class Module(NamedTuple):
    """`name` is dotted, `room` the second part of it ("" for the package itself)."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def room(self) -> str:
        return (self.name.split(".") + [""])[1]

    @property
    def file(self) -> str:
        return str(self.path.relative_to(ROOT / PACKAGE))


class Import(NamedTuple):
    """`target` is the full dotted name that is imported; `typing` if only type checkers see it; `top` if at import."""

    target: str
    typing: bool
    top: bool


@cache
def modules() -> tuple[Module, ...]:
    """Every module of the package."""
    found = []
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found.append(Module(name, path, ast.parse(path.read_text())))
    return tuple(found)


def _walk(node: ast.AST, typing: bool, top: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, typing, top
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for part in child.body:
                yield from _walk(ast.Module([part], []), True, top)
            for part in child.orelse:
                yield from _walk(ast.Module([part], []), typing, top)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from _walk(child, typing, top and not inside)


def imports(module: Module) -> Iterator[Import]:
    """Everything that a module imports, wherever in it; relative imports are refused."""
    for node, typing, top in _walk(module.tree, False, True):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, typing, top)
        else:
            assert node.level == 0, f"{module.file}:{node.lineno}: relative import"
            for alias in node.names:
                yield Import(f"{node.module}.{alias.name}", typing, top)


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method, nested ones included."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
