"""The sidecar itself, as `make install` put it beside this Python: everything observed by default.

Its process tree has two parts that are listed apart: the root is the data plane, what it started is the
analysis. What share of the traffic the analysis saw is read from the sidecar's own `/metrics`, because a
figure of the analysis counts for nothing when exchanges were thinned.
"""

import sys
import urllib.request
from pathlib import Path

from bench.errors import MeasureError
from bench.peer import Account, Peer, Program, Site

MODELTAP = Path(sys.executable).with_name("modeltap")
EXCHANGES = "model_request_duration_seconds_count"
DROPPED = "modeltap_records_dropped_total"


def command(site: Site) -> list[str]:
    here = "127.0.0.1:"
    return [
        str(MODELTAP),
        "run",
        *("--upstream", f"http://{here}{site.upstream}"),
        *("--listen", f"{here}{site.listen}"),
        *("--admin", f"{here}{site.admin}"),
        *("--health", f"{here}{site.health}"),
    ]


def without_capture(site: Site) -> list[str]:
    return [*command(site), "--capture-bytes", "0"]


def total(exposition: str, name: str) -> float:
    """The sum over all series of one name in a Prometheus text exposition; 0 when it has none."""
    lines = [line for line in exposition.splitlines() if line.startswith((name + "{", name + " "))]
    return sum(float(line[len(name) :].rpartition("}")[2].split()[0]) for line in lines)


def account(site: Site) -> Account:
    """Read the sidecar's counts. Raises MeasureError when it does not answer in ten seconds."""
    address = f"http://127.0.0.1:{site.admin}/metrics"
    try:
        with urllib.request.urlopen(address, timeout=10.0) as answer:
            text = answer.read().decode()
    except (OSError, ValueError) as error:
        raise MeasureError(f"no metrics from {address}: {error}") from error
    return Account(exchanges=total(text, EXCHANGES), dropped=total(text, DROPPED))


PROGRAM = Program(path=str(MODELTAP), version=(str(MODELTAP), "--version"), install="make install")
PEER = Peer(
    name="sidecar",
    title="modeltap, everything observed",
    command=command,
    programs=(PROGRAM,),
    root_role="data plane",
    child_role="analysis",
    account=account,
)
WITHOUT_CAPTURE = Peer(
    name="sidecar-no-capture",
    title="modeltap, no bodies kept (--capture-bytes 0)",
    command=without_capture,
    programs=(PROGRAM,),
    root_role="data plane",
    child_role="analysis",
    account=account,
    variant=True,
)
