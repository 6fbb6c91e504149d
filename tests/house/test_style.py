"""Sizes, docstrings, and the two things that are allowed only in named places."""

import ast
from collections.abc import Iterator
from statistics import median, quantiles

import pytest

from tests.house.source import ROOT, Module, functions, modules

MAX_FUNCTION, MAX_MODULE, MAX_PARAMETERS = 60, 500, 6
TASKS = {
    "app.py": "the composition root owns what lives as long as the process",
    "telemetry.py": "the composition of the analysis owns its loops, and stops them",
    "demo/stage.py": "in a TaskGroup",
    "demo/traffic.py": "in a TaskGroup",
}
BROAD = {
    "proxy/tap.py": "the tap: nothing that happens in following may touch the bytes",
    "proxy/usage.py": "asking for usage: nothing that happens in it may touch the bytes",
    "collect/background.py": "the thread of a call that may hang: what it raises is raised to whoever asked",
    "collect/__init__.py": "the collector frame: one collector's failure is counted as its own",
    "analysis/engine.py": "the analysis loop: one exchange's failure is counted, the next goes on",
    "analysis/pushes.py": "the same for a body that is pushed",
    "telemetry.py": "a loop of the analysis process, at its boundary: logged, and it goes on",
    "pending/guarded.py": "the store's thread: one batch's failure is counted, the next goes on",
    "publish/payload_log.py": "the payload log's thread: one event's failure is counted, the next goes on",
    "publish/sender.py": "the sender's thread: what a standard exporter raises is not documented",
}
MODULES = pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)


def lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


@MODULES
def test_every_module_states_its_law(module: Module) -> None:
    """A docstring at the top of each module."""
    assert ast.get_docstring(module.tree), f"{module.file} has no docstring"


@MODULES
def test_modules_are_short(module: Module) -> None:
    """No module over 500 lines."""
    assert len(module.path.read_text().splitlines()) <= MAX_MODULE


@MODULES
def test_functions_are_short_and_take_little(module: Module) -> None:
    """No function over 60 lines, none with more than 5 parameters besides self."""
    for node in functions(module):
        where = f"{module.file}:{node.lineno} {node.name}"
        assert lines(node) <= MAX_FUNCTION, f"{where} has {lines(node)} lines"
        given = node.args
        parameters = [*given.posonlyargs, *given.args, *given.kwonlyargs]
        count = len(parameters) + (given.vararg is not None) + (given.kwarg is not None)
        receiver = bool(parameters) and parameters[0].arg in ("self", "cls")
        assert count - receiver < MAX_PARAMETERS, f"{where} has {count} parameters"


def test_functions_are_short_as_a_rule() -> None:
    """Median at most 8 lines, 95 of 100 at most 40."""
    sizes = [lines(node) for module in modules() for node in functions(module)]
    assert median(sizes) <= 8
    assert quantiles(sizes, n=20)[-1] <= 40


def task_calls(module: Module) -> Iterator[ast.Call]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            if name in ("create_task", "ensure_future"):
                yield node


def broad_excepts(module: Module) -> Iterator[ast.ExceptHandler]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            if (
                any(word in caught for word in ("everything", "Exception)", "BaseException"))
                or caught == "Exception"
            ):
                yield node


@MODULES
def test_tasks_have_owners(module: Module) -> None:
    """A task is started only in the listed places, each with its reason."""
    found = [node.lineno for node in task_calls(module)]
    assert not found or module.file in TASKS, (
        f"{module.file}:{found} starts a task: use a TaskGroup, or list it"
    )


@MODULES
def test_broad_excepts_are_named(module: Module) -> None:
    """`except Exception` stands only in the listed places; everything is caught nowhere."""
    for node in broad_excepts(module):
        assert module.file in BROAD, f"{module.file}:{node.lineno}: name what can be raised, or list it"
        assert node.type is not None
        assert ast.unparse(node.type) == "Exception", f"{module.file}:{node.lineno} also catches the end"


def test_the_lists_hold_nothing_that_is_gone() -> None:
    """A listed place that no longer needs its exception leaves the list: it may only shrink."""
    assert {module.file for module in modules() if any(task_calls(module))} == set(TASKS)
    assert {module.file for module in modules() if any(broad_excepts(module))} == set(BROAD)


def test_no_test_is_skipped() -> None:
    """No skip, no expected failure: a test that cannot run says why by failing."""
    words = {"skip", "skipif", "xfail", "importorskip"}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in words:
                assert "pytest" not in ast.unparse(node.value), f"{path.name}:{node.lineno}: {node.attr}"
