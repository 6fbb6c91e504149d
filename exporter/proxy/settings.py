"""What the data plane must be told. Plain values: they travel to worker processes as JSON."""

import msgspec

from exporter.records.catalogue import LATENCY_BUCKETS


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses are resolved by the composition root; sizes in bytes, times in seconds."""

    upstream_host: str
    upstream_port: int
    upstream_source: str = "client"  # client: dial from the address that the client came to; loopback: any
    connect_timeout: float = 1.0
    capture_bytes: int = 1 << 20
    capture_total: int = 64 << 20
    latency_buckets: tuple[float, ...] = LATENCY_BUCKETS
    model_name: str = ""
    model_version: str = ""
    tracing: bool = False
    sampler: str = "parentbased_traceidratio"
    sampler_ratio: float = 0.01
    root_spans_per_second: int = 50
    max_concurrency: int = 0  # 0: no admission limit
    max_queue: int = 100
    drain_quiet: float = 0.0  # seconds without a request before a drain stops accepting
    grace: float = 25.0  # seconds that a drain may take in all
