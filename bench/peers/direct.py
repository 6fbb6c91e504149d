"""No proxy: the load generator meets the upstream itself. What every added latency is measured from."""

from bench.peer import Peer

PEER = Peer(name="direct", title="no proxy", command=None)
