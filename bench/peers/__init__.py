"""The programs that are compared. To add one: a file that declares a `Peer`, and a line here.

The order is that of the tables and of the turns in every round.
"""

from bench.peer import Peer
from bench.peers import aiohttp, direct, haproxy, nginx, relay, sidecar

PEERS: tuple[Peer, ...] = (
    direct.PEER,
    relay.PEER,
    haproxy.PEER,
    nginx.PEER,
    sidecar.PEER,
    sidecar.WITHOUT_CAPTURE,
    aiohttp.PEER,
)
