"""How a command reaches a running sidecar: its address by flag, environment, file or default.

Opens nothing. A wildcard stands for this host: both loopbacks are worth a try.
"""

from collections.abc import Mapping

from exporter.settings import values
from exporter.settings.config import Config, load

_WILDCARDS = ("", "::", "0.0.0.0")
_LOOPBACK = ("127.0.0.1", "::1")
# What is needed to read an address out of a configuration that lacks it.
_ANY_UPSTREAM = "http://localhost"


def places(key: str, flags: Mapping[str, object], environ: Mapping[str, str]) -> list[tuple[str, int]]:
    """Hosts and port of the sidecar's `key`, health or admin. ConfigError or ValueError if it makes no sense."""
    host, port = values.split_address(_address(key, flags, environ))
    return [(place, port) for place in (_LOOPBACK if host in _WILDCARDS else (host,))]


def _address(key: str, flags: Mapping[str, object], environ: Mapping[str, str]) -> str:
    given = flags.get(key) or environ.get(f"MODELTAP_{key.upper()}")
    if given:
        try:
            return str(values.address(given))
        except ValueError as error:
            raise ValueError(f"--{key}: {given!r}: {error}") from None
    file = flags.get("config") or environ.get("MODELTAP_CONFIG")
    if not file:
        return str(getattr(Config(upstream=_ANY_UPSTREAM), key))
    return str(getattr(load({"config": file, "upstream": _ANY_UPSTREAM}, {}), key))
