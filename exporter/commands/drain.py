"""`modeltap drain`: stop a running sidecar from taking requests, and wait until those under way have ended.

For a preStop hook and for a person. It posts to the health port, from this host only. The sidecar stays alive after
the drain, with its metrics, until it gets SIGTERM.
Exit status: 0 when it is drained, or draining with --no-wait; 1 if nobody is there or it refuses or dies; 2 for a
wrong command line.
"""

import argparse
import http.client
import os
import sys
from collections.abc import Sequence

from exporter.commands.reach import places
from exporter.settings.config import ConfigError

_SECONDS = 5.0  # for everything but the drain itself, whose end is bounded by the sidecar's grace


class DrainError(Exception):
    """It did not drain; the text says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `modeltap drain`."""
    add = parser.add_argument
    add("--health", metavar="HOST:PORT", help="the sidecar's health port (default: as `run` would have it)")
    add("--config", metavar="FILE", help="YAML file of the sidecar's settings, if they tell the port")
    add("--no-wait", action="store_true", help="return as soon as the drain has begun")


def run(args: argparse.Namespace) -> int:
    """Post, wait, say how it ended."""
    try:
        found = places("health", vars(args), os.environ)
    except (ConfigError, ValueError) as error:
        for line in str(error).splitlines():
            print(f"modeltap drain: {line}", file=sys.stderr)
        return 2
    try:
        connection = _begun(found)
        connection.close()
        if not args.no_wait:
            _wait(connection)
    except DrainError as error:
        print(f"modeltap drain: {error}", file=sys.stderr)
        return 1
    print("draining" if args.no_wait else "drained")
    return 0


def _begun(found: Sequence[tuple[str, int]]) -> http.client.HTTPConnection:
    """Where the sidecar was told; DrainError if nobody was."""
    problem = ""
    for place, port in found:
        connection = http.client.HTTPConnection(place, port, timeout=_SECONDS)
        try:
            connection.request("POST", "/drain")
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace").strip()
        except (http.client.HTTPException, OSError) as error:
            problem = problem or f"{place}:{port}: {error or type(error).__name__}"
            connection.close()
            continue
        if answer.status not in (200, 202):
            raise DrainError(f"{place}:{port} answers {answer.status}: {text}")
        return connection
    raise DrainError(f"no sidecar is there: {problem}; expected --health HOST:PORT of a running one")


def _wait(connection: http.client.HTTPConnection) -> None:
    connection.timeout = None
    try:
        connection.request("GET", "/wait-for-drain")
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace").strip()
    except (http.client.HTTPException, OSError) as error:
        raise DrainError(
            f"the sidecar ended before it was drained: {error or type(error).__name__}"
        ) from None
    finally:
        connection.close()
    if answer.status != 200:
        raise DrainError(f"cannot wait: {answer.status}: {text}")
