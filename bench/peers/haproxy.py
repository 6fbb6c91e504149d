"""HAProxy: `mode http`, one thread, its own defaults for connection reuse and buffers, no log.

For streams it gets `option http-no-delay`, which its manual asks for there: without it it collects tokens for
some 40 ms.
"""

from bench.peer import Peer, Program, Site

CONFIGURATION = """\
global
    maxconn {connections}
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s{options}
listen bench
    bind 127.0.0.1:{listen}{tls}
    server upstream 127.0.0.1:{upstream}
"""
HAPROXY = Program(path="haproxy", version=("haproxy", "-v"), install="apt-get install haproxy", debian=True)


def command(site: Site) -> list[str]:
    path = site.folder / "haproxy.cfg"
    tls = f" ssl crt {site.certificate}" if site.certificate else ""
    options = "\n    option http-no-delay" if site.streaming else ""
    path.write_text(
        CONFIGURATION.format(
            connections=site.connections, options=options, listen=site.listen, tls=tls, upstream=site.upstream
        )
    )
    return ["haproxy", "-db", "-q", "-f", str(path)]


PEER = Peer(
    name="haproxy",
    title="HAProxy, mode http, one thread",
    command=command,
    programs=(HAPROXY,),
    tls=True,
)
