"""`modeltap demo`: a real model on real data behind the sidecar; its traffic drifts, slows down and fails.

It reads the command line and starts the demo. The demo's own dependencies are an extra of the distribution,
so they are imported only when it runs.
"""

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--duration",
        type=_seconds,
        metavar="SECONDS",
        help="end after this long, with a summary (default: go on until Ctrl-C)",
    )
    parser.add_argument(
        "--listen-port",
        type=_port,
        default=0,
        metavar="N",
        help="port of the sidecar on 127.0.0.1 (default: a free one)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder with the data set's CSV files (default: the installed nannyml distribution)",
    )
    parser.add_argument(
        "--plain", action="store_true", help="print a line every few seconds instead of redrawing the screen"
    )


def run(args: argparse.Namespace) -> int:
    """Run the demo; the exit status: 0, or 1 if something is missing, could not start or died."""
    try:
        from exporter.demo.stage import Options, main
    except ModuleNotFoundError as error:
        print(
            f"modeltap demo: {error}; get what it needs with  pip install 'modeltap[demo]'", file=sys.stderr
        )
        return 1
    except KeyboardInterrupt:
        return 130
    return main(Options(args.duration, args.listen_port, args.data, args.plain))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(f"expected seconds from 1 to 86400, found {text!r}")
    return seconds


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, found {text!r}")
    return int(text)
