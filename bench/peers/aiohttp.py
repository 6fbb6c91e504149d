"""An aiohttp reverse proxy that only forwards (`bench/servers/forward.py`)."""

import sys

from bench.peer import Peer, Site


def command(site: Site) -> list[str]:
    ports = ["--listen", str(site.listen), "--upstream", str(site.upstream)]
    return [sys.executable, "-m", "bench.servers.forward", *ports]


PEER = Peer(name="aiohttp", title="aiohttp proxy that only forwards", command=command, slow=True)
