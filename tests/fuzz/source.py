"""The followers as plain Python, also where everything else imports a compiled form: only that can be counted."""

import sys
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[2] / "exporter" / "wire"
NAMES = tuple(f"exporter.wire.{name}" for name in ("head", "events", "http1"))


@cache
def interpreted() -> dict[str, ModuleType]:
    """`head`, `events` and `http1` loaded from source, apart from those that are imported."""
    saved = {name: sys.modules.pop(name) for name in NAMES if name in sys.modules}
    try:
        return {name.rpartition(".")[2]: _load(name) for name in NAMES}
    finally:
        for name in NAMES:
            sys.modules.pop(name, None)
        sys.modules.update(saved)


def _load(name: str) -> ModuleType:
    spec = spec_from_file_location(name, FOLDER / f"{name.rpartition('.')[2]}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
