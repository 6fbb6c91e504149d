"""HAProxy: `mode http`, one thread, its own defaults for connection reuse and buffers, no log."""

from bench.peer import Peer, Program, Site

CONFIGURATION = """\
global
    maxconn 4096
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen bench
    bind 127.0.0.1:{listen}
    server upstream 127.0.0.1:{upstream}
"""
HAPROXY = Program(path="haproxy", version=("haproxy", "-v"), install="apt-get install haproxy", debian=True)


def command(site: Site) -> list[str]:
    path = site.folder / "haproxy.cfg"
    path.write_text(CONFIGURATION.format(listen=site.listen, upstream=site.upstream))
    return ["haproxy", "-db", "-q", "-f", str(path)]


PEER = Peer(name="haproxy", title="HAProxy, mode http, one thread", command=command, programs=(HAPROXY,))
