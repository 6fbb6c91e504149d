"""The floor: a uvloop relay that parses nothing (`bench/servers/relay.py`)."""

import sys

from bench.peer import Peer, Site


def command(site: Site) -> list[str]:
    ports = ["--listen", str(site.listen), "--upstream", str(site.upstream)]
    tls = ["--tls", str(site.certificate)] if site.certificate else []
    return [sys.executable, "-m", "bench.servers.relay", *ports, *tls]


PEER = Peer(name="relay", title="uvloop relay that parses nothing", command=command, tls=True)
