"""Settings -> where the upstream's readiness and its own metrics are, and the TLS that is spoken to them."""

import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from exporter.collect import OwnMetrics, Place
from exporter.proxy.settings import Tls, Upstream
from exporter.proxy.tls import Contexts, TlsError
from exporter.publish.exposition import readings
from exporter.settings.config import Config, proxy_settings, upstream_of

_LOCAL = frozenset(("127.0.0.1", "::1", "localhost", ""))
# Where servers have them unless told otherwise: most; trtllm-serve; TensorFlow Serving.
PATHS = ("/metrics", "/prometheus/metrics", "/monitoring/prometheus/metrics")
PORTS = (8002, 8082)  # Triton; MLServer and TorchServe


def own_metrics(config: Config) -> OwnMetrics:
    """The place that the configuration names, or those to look in if it names none.

    Ports of their own are tried on this host only, where they can be no stranger's.
    """
    upstream, told = upstream_of(config.upstream), config.upstream_metrics
    interval = config.upstream_metrics_interval
    if told == "off":
        return OwnMetrics()
    if told:
        return OwnMetrics((_told(config, upstream, told),), readings, True, interval)
    places = [] if upstream.opaque else [_at(config, upstream, path) for path in PATHS]
    if upstream.host in _LOCAL:
        host = upstream.host or "127.0.0.1"
        places += [Place((host, port)) for port in PORTS if port != upstream.port]
    return OwnMetrics(tuple(places), readings, False, interval)


def probed(config: Config) -> Place:
    """Where the model is asked whether it is ready; a path of "" is for what is relayed unread, or not told."""
    upstream = upstream_of(config.upstream)
    return _at(config, upstream, "" if upstream.opaque else config.probe_path)


def _told(config: Config, upstream: Upstream, told: str) -> Place:
    if told[0] == "/":
        return _at(config, upstream, told)
    parts = urlsplit(told if told[0] != ":" else f"http://{_bracketed(upstream.host or '127.0.0.1')}{told}")
    path = (parts.path or "/metrics") + (f"?{parts.query}" if parts.query else "")
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    return _at(config, Upstream(host=parts.hostname or "", port=port, tls=tls), path)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _at(config: Config, upstream: Upstream, path: str) -> Place:
    if upstream.path:
        return Place(upstream.path, path)
    address = (upstream.host, upstream.port)
    if not upstream.tls:
        return Place(address, path)
    # The name that was configured is in the model's certificate, and in no other host's.
    ours = upstream.host == upstream_of(config.upstream).host
    name = proxy_settings(config).tls.upstream_name if ours else ""
    return Place(address, path, _context(config, upstream), name)


def _context(config: Config, upstream: Upstream) -> Callable[[], ssl.SSLContext]:
    """Gives what the data plane dials the model with; made at first use, it follows its files."""
    made: list[Contexts] = []

    def context() -> ssl.SSLContext:
        if not made:
            settings = proxy_settings(config)
            towards = {name: getattr(settings.tls, name) for name in _TOWARDS}
            only = msgspec.structs.replace(settings, upstreams=(upstream,), tls=Tls(**towards))
            try:
                made.append(Contexts(only))
            except TlsError as error:
                raise OSError(str(error)) from error
        made[0].refresh()
        found = made[0].dialling(upstream)["ssl"]
        assert isinstance(found, ssl.SSLContext)
        return found

    return context


_TOWARDS = tuple(name for name in Tls.__struct_fields__ if name.startswith("upstream_"))
