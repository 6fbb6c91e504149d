"""`modeltap job -- CMD`: runs a batch job, and pushes what became of it to a Pushgateway or over OTLP.

Duration, outcome, rows, CPU, memory and disk, while it runs and at its end. The job has our terminal and streams; its
exit status is ours (128 and the signal's number if a signal ended it), whatever becomes of the pushes. It tells its
rows on the descriptor that MODELTAP_ROWS_FD names, a number or {"rows": 7, "failed": 1} a line, or in its output, if
--rows-from says how. OTLP is switched on by the standard variables. Exit status 2 for a wrong command line.
"""

import argparse
import logging
import os
import re
import resource
import socket
import sys
from collections.abc import Callable
from typing import Any

from exporter.commands.wrap import missing
from exporter.parts.jobs import Report, Told, base_name, summary
from exporter.processes import logs
from exporter.processes.tree import reap
from exporter.publish import OtlpConfig, read_config
from exporter.publish.pushgateway import Gateway
from exporter.settings import values
from exporter.settings.config import ConfigError
from exporter.supervise import rows
from exporter.supervise.job import Job

log = logging.getLogger("modeltap")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command and what is said of it."""
    parser.add_argument("--name", help="of the job: the label job_name (default: the command's)")
    parser.add_argument(
        "--pushgateway",
        metavar="URL",
        default=os.environ.get("MODELTAP_PUSHGATEWAY", ""),
        help="http://HOST:9091 of a Pushgateway (or MODELTAP_PUSHGATEWAY)",
    )
    parser.add_argument(
        "--group",
        metavar="LABEL=VALUE",
        action="append",
        default=[],
        help="a further label of its group there, besides job; may be repeated",
    )
    parser.add_argument(
        "--interval",
        metavar="SECONDS",
        default="15",
        help="between pushes to it while the job runs (default 15)",
    )
    parser.add_argument(
        "--every",
        metavar="SECONDS",
        default="0",
        help="how often the job is to succeed, for the alert JobLate",
    )
    parser.add_argument(
        "--rows-from",
        metavar="PATTERN",
        help="a regular expression for lines of its output, with a group that is a number of rows",
    )
    parser.add_argument("words", nargs="*", metavar="CMD", help="the command, behind --")


def run(args: argparse.Namespace) -> int:
    """As told above."""
    try:
        job, told, gateway, otlp = _read(args)
    except ConfigError as error:
        for problem in error.problems:
            print(f"modeltap: {problem}", file=sys.stderr)
        return 2
    logs.configure()
    report = Report(job, told, gateway, otlp)

    def turn() -> None:
        report.turn()
        if os.getpid() == 1:
            reap({job.pid})

    end = job.run(resource.getrlimit(resource.RLIMIT_NOFILE)[0], turn)
    log.info("%s", summary(job, told.name))
    report.finish()
    sys.stdout.flush()
    # A push that hangs is for nobody, and neither is its thread.
    os._exit(end.status)


def _read(args: argparse.Namespace) -> tuple[Job, Told, Gateway | None, OtlpConfig]:
    """ConfigError with every problem."""
    problems = [problem] if (problem := missing(tuple(args.words))) else []
    seconds = values.number(0, 366 * 86400, float)
    name = args.name or base_name(args.words[0] if args.words else "")
    found = {
        flag: _parsed(f"--{flag.replace('_', '-')}", value, parse, problems)
        for flag, value, parse in (
            ("name", name, values.label),
            ("interval", args.interval, values.number(0.1, 86400, float)),
            ("every", args.every, seconds),
            ("group", args.group, _group),
            ("rows_from", args.rows_from, rows.pattern),
        )
    }
    gateway = _parsed(
        "--pushgateway", args.pushgateway, lambda url: Gateway(url, name, found["group"] or {}), problems
    )
    otlp, wrong = read_config(os.environ, instance=socket.gethostname())
    problems += wrong
    if problems:
        raise ConfigError(problems)
    told = Told(found["name"], found["interval"], found["every"])
    return Job(args.words, found["rows_from"]), told, gateway, otlp


def _parsed(flag: str, value: Any, parse: Callable[[Any], Any], problems: list[str]) -> Any:
    """None for what was not given or is wrong; the second is told."""
    if not value:
        return None
    try:
        return parse(value)
    except ValueError as error:
        problems.append(f"{flag}: {value!r}: {error}")
        return None


def _group(pairs: list[str]) -> dict[str, str]:
    found = dict(pair.partition("=")[::2] for pair in pairs if "=" in pair)
    wrong = [
        key for key in found if not _LABEL.fullmatch(key) or key in ("job", "job_name") or key[:2] == "__"
    ]
    if wrong or len(found) < len(pairs):
        raise ValueError("expected LABEL=VALUE, each label once and none of them job or job_name")
    return found
