"""The sidecar itself, as `make install` put it beside this Python: everything observed by default.

Its process tree has two parts that are listed apart: the root is the data plane, what it started is the
analysis. What share of the traffic the analysis saw is read from the sidecar's own `/metrics`, because a
figure of the analysis counts for nothing when exchanges were thinned. A build of it from elsewhere (`--build`)
is a peer of the same kind.
"""

import sys
import urllib.request
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench import interpreter
from bench.errors import MeasureError
from bench.peer import Account, Peer, Program, Site

MODELTAP = Path(sys.executable).with_name("modeltap")
EXCHANGES = "model_request_duration_seconds_count"
DROPPED = "modeltap_records_dropped_total"
# The module that does most of the data plane's work: compiled or not tells the build.
MODULE = "exporter.wire.http1"


def started(program: Sequence[str], site: Site) -> list[str]:
    """The command line of a program that starts `modeltap`."""
    here = "127.0.0.1:"
    certificate = str(site.certificate)
    return [
        *program,
        "run",
        *("--upstream", f"http://{here}{site.upstream}"),
        *("--listen", f"{here}{site.listen}"),
        *("--admin", f"{here}{site.admin}"),
        *("--health", f"{here}{site.health}"),
        *(("--tls-cert", certificate, "--tls-key", certificate) if site.certificate else ()),
    ]


def command(site: Site) -> list[str]:
    return started([str(MODELTAP)], site)


def without_capture(site: Site) -> list[str]:
    return [*command(site), "--capture-bytes", "0"]


def metrics(site: Site) -> str:
    """The address of its metrics."""
    return f"http://127.0.0.1:{site.admin}/metrics"


def total(exposition: str, name: str) -> float:
    """The sum over all series of one name in a Prometheus text exposition; 0 when it has none."""
    lines = [line for line in exposition.splitlines() if line.startswith((name + "{", name + " "))]
    return sum(float(line[len(name) :].rpartition("}")[2].split()[0]) for line in lines)


def account(site: Site) -> Account:
    """Read the sidecar's counts. Raises MeasureError when it does not answer in ten seconds.

    A series that is new shows 0 in its first scrape, so it is the second one that counts.
    """
    try:
        for _ in range(2):
            with urllib.request.urlopen(metrics(site), timeout=10.0) as answer:
                text = answer.read().decode()
    except (OSError, ValueError) as error:
        raise MeasureError(f"no metrics from {metrics(site)}: {error}") from error
    return Account(exchanges=total(text, EXCHANGES), dropped=total(text, DROPPED))


def describe(pid: int) -> str:
    """The Python that runs it, and whether its busiest module is compiled."""
    return interpreter.of_process(pid, MODULE)


PROGRAM = Program(path=str(MODELTAP), version=(str(MODELTAP), "--version"), install="make install")
PEER = Peer(
    name="sidecar",
    title="modeltap, everything observed",
    command=command,
    programs=(PROGRAM,),
    root_role="data plane",
    child_role="analysis",
    account=account,
    scrape=metrics,
    describe=describe,
    tls=True,
)
WITHOUT_CAPTURE = replace(
    PEER,
    name="sidecar-no-capture",
    title="modeltap, no bodies kept (--capture-bytes 0)",
    command=without_capture,
    variant=True,
)


def build(name: str, program: Sequence[str]) -> Peer:
    """Another build of the sidecar, started by these words and the flags of a site."""
    return replace(
        PEER,
        name=name,
        title=f"modeltap, everything observed: {' '.join(program)}",
        command=lambda site: started(program, site),
        programs=(Program(path=program[0], version=(*program, "--version"), install=f"see --build {name}"),),
        installed=True,
    )
