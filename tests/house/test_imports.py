"""Who may import whom: the rooms' table, heavy libraries in their rooms, no cycles."""

import ast
import importlib
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.house.source import PACKAGE, ROOT, Import, Module, imports, modules

ROOMS: dict[str, set[str]] = {
    "records": set(),
    "wire": set(),
    "stats": set(),
    "proxy": {"wire", "records"},
    "decode": {"records", "wire"},  # wire: what a body consists of, such as events of a stream
    "analysis": {"decode", "pending", "stats", "records"},
    "host": set(),
    "collect": {"records", "host"},
    "publish": {"records"},
    "pending": {"records"},
    "supervise": {"records", "host"},
    "describe": {"records"},
    # What composes rooms; the composition roots are beside them: app, children, cli, telemetry.
    "settings": {"analysis", "proxy", "publish", "records", "supervise"},
    "processes": {"records", "settings"},
    "admin": {"collect", "publish", "records"},
    "parts": {
        *("records", "stats", "proxy", "decode", "analysis", "collect", "publish", "pending", "supervise"),
        *("describe", "host", "settings", "processes", "admin"),
    },
}
# Library -> the rooms, and modules beside them, that may import it.
CONFINED = {
    "psutil": {"collect"},
    "pynvml": {"collect"},
    "amdsmi": {"collect"},
    "prometheus_client": {"publish", "demo"},
    "opentelemetry": {"publish", "demo"},
    "grpc": {"publish"},
    "aiohttp": {"admin", "collect", "publish", "demo"},
    "sklearn": {"demo"},
    "joblib": {"demo"},
    "orjson": {"decode"},
    "jmespath": {"decode", "records"},
    "zstandard": {"decode", "publish"},
    "brotli": {"decode"},
    "PIL": {"decode"},
    "sqlite3": {"pending"},
    "redis": {"pending"},
    "requests": set(),
}
# Sans-io: bytes, arrays and values in and out; time is an argument.
SANS_IO = ("records", "wire", "decode", "stats", "describe")
WORLD = {
    "asyncio",
    "socket",
    "select",
    "selectors",
    "threading",
    "subprocess",
    "multiprocessing",
    "time",
    "uvloop",
}
MODULES = pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)


def library(item: Import) -> str:
    return item.target.partition(".")[0]


def own(target: str) -> str:
    """The module of ours that this name lives in."""
    names = {module.name for module in modules()}
    while target not in names:
        target = target.rpartition(".")[0]
    return target


def ours(module: Module) -> set[str]:
    """Our modules that this one imports when it runs; what only type checkers see cannot go round in circles."""
    found = {own(item.target) for item in imports(module) if library(item) == PACKAGE and not item.typing}
    return found - {module.name}


def test_every_folder_is_a_room_or_beside_them() -> None:
    """A new folder gets a line in the table, or is listed as one that composes rooms."""
    folders = {module.room for module in modules() if module.path.name == "__init__.py"} - {""}
    assert folders == set(ROOMS) | {"commands", "demo"}


@MODULES
def test_rooms_import_what_the_table_allows(module: Module) -> None:
    """Siblings never meet; what composes rooms is imported by none of them."""
    if module.room not in ROOMS:
        return
    allowed = ROOMS[module.room] | {module.room}
    for item in imports(module):
        if library(item) == PACKAGE and item.target != f"{PACKAGE}.__version__":
            room = item.target.split(".")[1]
            assert room in allowed, f"{module.file} imports {item.target}; {module.room} may import {allowed}"


@MODULES
def test_heavy_libraries_stay_in_their_rooms(module: Module) -> None:
    """Each library is imported where the design says, also under TYPE_CHECKING and inside functions."""
    for item in imports(module):
        places = CONFINED.get(library(item))
        assert places is None or module.room in places, (
            f"{module.file} imports {item.target}: only {places} may"
        )


@MODULES
def test_the_data_plane_has_no_numpy(module: Module) -> None:
    """Not in proxy nor wire; in records only for type checkers, or in what only a reader calls."""
    for item in imports(module):
        if library(item) != "numpy":
            continue
        assert module.room not in ("proxy", "wire"), f"{module.file} imports numpy"
        if module.room == "records":
            assert item.typing or not item.top, f"{module.file} loads numpy at import"


@MODULES
def test_sans_io_rooms_see_no_world(module: Module) -> None:
    """No socket, no clock, no thread, no event loop in what only turns values into values."""
    if module.room in SANS_IO:
        assert {library(item) for item in imports(module)} & WORLD == set()


def test_no_import_cycles() -> None:
    """Modules import one another in one direction, imports inside functions included."""
    graph = {module.name: ours(module) for module in modules()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


def test_rules_know_no_dashboard() -> None:
    """Dashboards show what rules record; the other way round neither could be changed alone."""
    for path in (ROOT / "alert_rules").glob("*.py"):
        nodes = [*ast.walk(ast.parse(path.read_text()))]
        names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
        assert "dashboards" not in {name.partition(".")[0] for name in names}, path.name


@pytest.mark.parametrize(
    "module",
    [module for module in modules() if "__all__" in module.path.read_text()],
    ids=lambda module: module.name,
)
def test_exported_names_exist(module: Module) -> None:
    """Each name in `__all__` resolves, and none is listed twice."""
    loaded = importlib.import_module(module.name)
    assert [name for name in loaded.__all__ if not hasattr(loaded, name)] == []
    assert len(set(loaded.__all__)) == len(loaded.__all__)


def test_the_data_plane_loads_nothing_heavy() -> None:
    """A worker's process has none of the libraries that the analysis needs: measured in a fresh interpreter."""
    code = f"import sys, {PACKAGE}.proxy.worker; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    heavy = {
        "numpy",
        "aiohttp",
        "opentelemetry",
        "prometheus_client",
        "psutil",
        "pynvml",
        "amdsmi",
        "grpc",
        "yaml",
        "orjson",
    }
    assert loaded & heavy == set()
    assert PACKAGE in loaded
