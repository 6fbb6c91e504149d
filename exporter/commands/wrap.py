"""`modeltap wrap -- CMD`: starts the model server as its child, with the sidecar in front of it.

All settings of `modeltap run`, then -- and the command. The model's output is copied to ours; signals go on to it if it
handles them; it is started again as --restart says. Told to stop, exchanges end first, and the model after them.
Exit status: that of the model if it ended and is not started again (128 and the signal's number if a signal ended it);
0 when told to stop; 1 if an address cannot be bound; 2 for a wrong configuration or a command that is not there.
"""

import argparse
import shutil
import sys

from exporter.commands import run as sidecar


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Every setting as a flag, and the command."""
    sidecar.add_arguments(parser)
    parser.add_argument("words", nargs="*", metavar="CMD", help="the command, behind --")


def run(args: argparse.Namespace) -> int:
    """As told above."""
    command = tuple(args.words)
    if problem := missing(command):
        print(f"modeltap: {problem}", file=sys.stderr)
        return 2
    return sidecar.sidecar(args, command)


def missing(command: tuple[str, ...]) -> str:
    """What is wrong with a command, or ""."""
    if not command:
        return "no command; expected -- and the command to run"
    if shutil.which(command[0]) is None:
        return f"{command[0]}: not found, or it cannot be run; expected a command"
    return ""
