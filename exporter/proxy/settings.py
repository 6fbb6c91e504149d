"""What the data plane must be told. Plain values: they travel to worker processes as JSON."""

import msgspec

from exporter.records.catalogue import LATENCY_BUCKETS

# What the data plane may do to what it carries. Limits can only be promised where it may also refuse.
MODES = ("observe", "annotate", "gate", "strict")


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """Where one listener leads: a host and port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""
    tls: bool = False
    opaque: bool = False  # relay without following, whatever is spoken


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """Names of PEM files; "" where there is none. They are read again when they change."""

    cert: str = ""  # of the listeners; without it they speak plain HTTP
    key: str = ""
    client_ca: str = ""
    client_auth: str = "none"  # none, optional, required: certificates of clients
    upstream_ca: str = ""  # "": the system's authorities
    upstream_cert: str = ""
    upstream_key: str = ""
    upstream_name: str = ""  # the name to expect in the upstream's certificate; "": its host
    upstream_verify: bool = True


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Names are resolved by the data plane; sizes in bytes, times in seconds, 0 for "no such bound"."""

    upstreams: tuple[Upstream, ...]  # one per listener, in their order
    mode: str = "annotate"
    tls: Tls = Tls()
    upstream_source: str = "client"  # client: dial from the address that the client came to; loopback: any
    proxy_protocol: bool = False  # tell the upstream who connected, by PROXY protocol version 2
    include_usage: bool = False  # ask for the usage of streams whose clients did not
    forwarded_for: bool = False  # append the client's address to X-Forwarded-For
    connect_timeout: float = 1.0
    header_timeout: float = 30.0  # from accept, or from a head's first byte, to its last
    idle_timeout: float = 0.0  # between exchanges; 0: the model's own keep-alive decides
    half_closed_timeout: float = 60.0  # without progress, once one side ended
    write_timeout: float = 300.0  # a side that takes no byte of what waits for it
    tunnel_timeout: float = 3600.0  # without a byte either way, after an upgrade
    max_connections: int = 0  # 0: what the limit on descriptors allows
    capture_bytes: int = 1 << 20
    capture_total: int = 64 << 20
    latency_buckets: tuple[float, ...] = LATENCY_BUCKETS
    model_name: str = ""
    model_version: str = ""
    paths: tuple[tuple[str, str], ...] = ()  # of the owner's own, with the dialect that is spoken there
    tracing: bool = False
    every_exchange: bool = False  # hand over those without bodies, too: somebody logs each
    sampler: str = "parentbased_traceidratio"
    sampler_ratio: float = 0.01
    root_spans_per_second: int = 50
    max_concurrency: int = 0  # 0: no admission limit
    max_queue: int = 100
    queue_timeout: float = 0.0
    shed_status: int = 503
    drain_quiet: float = 0.0  # seconds without a request before a drain stops accepting
    grace: float = 25.0  # seconds that a drain may take in all
