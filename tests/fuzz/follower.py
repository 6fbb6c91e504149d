"""The fuzzer's target: `python -m tests.fuzz.follower` with libFuzzer's arguments, in an environment with atheris.

The followers are loaded from source even where a compiled form lies beside it: the fuzzer
finds its way by the branches that it sees taken.
"""

import sys
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from pathlib import Path

import atheris

PACKAGE = Path(__file__).parents[2] / "exporter"
# What names the parts is instrumented too: it branches where an expression of the followers hides its own branches.
INSTRUMENTED = ("exporter.wire", "tests.wire.follow")


def only_source(folder: Path) -> None:
    """From now on, import nothing but source from below `folder`."""
    find = FileFinder.path_hook((SourceFileLoader, SOURCE_SUFFIXES))

    def hook(path: str) -> FileFinder:
        if not Path(path).is_relative_to(folder):
            raise ImportError(f"not below {folder.name}")
        return find(path)

    sys.path_hooks.insert(0, hook)
    sys.path_importer_cache.clear()


def main() -> None:
    """Look, until libFuzzer's arguments or a broken law end it; the process ends with it."""
    only_source(PACKAGE)
    with atheris.instrument_imports(include=list(INSTRUMENTED)):
        from tests.fuzz import laws
    # libFuzzer starts itself anew to merge, through a shell: by a command, not by the name of a module's file.
    atheris.Setup([f"{sys.executable} -m {__spec__.name}", *sys.argv[1:]], laws.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
