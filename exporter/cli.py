"""The command line: finds the subcommand, imports it, runs it. Only `__main__` and the console script exit."""

import argparse
import importlib
import signal
import sys

from exporter import __version__

COMMANDS = ("run", "demo", "profile", "metrics")


def main(arguments: list[str] | None = None) -> int:
    """Exit status of the subcommand; 2 for a wrong command line."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["_child"]:
        from exporter.children import main as child

        return child(arguments[1], int(arguments[2]))
    if arguments[:1] == ["run"]:
        # As PID 1 a signal without a handler is ignored; one that comes before the loop runs ends us at once.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(0))
    parser = argparse.ArgumentParser(prog="modeltap", description="Telemetry sidecar for model endpoints.")
    parser.add_argument("--version", action="version", version=f"modeltap {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    wanted = next((word for word in arguments if not word.startswith("-")), "")
    for name in COMMANDS:
        if wanted in COMMANDS and name != wanted:
            commands.add_parser(name)
            continue
        module = importlib.import_module(f"exporter.commands.{name}")
        sub = commands.add_parser(name, help=getattr(module, "HELP", None), description=module.__doc__)
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    args = parser.parse_args(arguments)
    status: int = args.run(args)
    return status
