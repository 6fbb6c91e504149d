"""The command line: finds the subcommand, imports it, runs it. Only `__main__` and the console script exit.

Signals come first: what is imported here is imported before a root can be told to stop.
"""

import os
import sys

from exporter import __version__
from exporter.processes.blas import single_threaded
from exporter.processes.signals import bind_to_parent, end_when_told

COMMANDS = (
    *("run", "wrap", "job", "check", "drain", "observe", "feedback", "performance"),
    *("demo", "profile", "compare", "decode", "describe", "metrics"),
)

NUMERIC = (
    "profile",
    "compare",
)  # no other process is started by these, which would inherit what is set for them


def main(arguments: list[str] | None = None) -> int:
    """Exit status of the subcommand; 2 for a wrong command line."""
    arguments = sys.argv[1:] if arguments is None else arguments
    first = arguments[0] if arguments else ""
    if first == "_child":
        bind_to_parent()
        from exporter.children import main as child

        return child(arguments[1], int(arguments[2]), "promptly" in arguments)
    if first in ("run", "wrap"):
        end_when_told()
    if first in NUMERIC:
        single_threaded()
    return _command(first, arguments)


def _command(first: str, arguments: list[str]) -> int:
    import argparse
    import importlib

    # No abbreviations: a flag that is added later would change what a working command line means.
    parser = argparse.ArgumentParser(
        prog="modeltap", description="Telemetry sidecar for model endpoints.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"modeltap {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        if (first in COMMANDS and name != first) or first == "--version":
            commands.add_parser(name)
            continue
        module = importlib.import_module(f"exporter.commands.{name}")
        text = " ".join((module.__doc__ or "").split())
        summary = text.partition("`: ")[2].partition(". ")[0].rstrip(".")
        sub = commands.add_parser(name, help=summary, description=text, allow_abbrev=False)
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    args = parser.parse_args(arguments)
    try:
        status: int = args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough; what is still buffered would fail again at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status
