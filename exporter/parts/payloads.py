"""The payload log of a configuration: where its parts from several rooms meet."""

import socket
from dataclasses import fields

from exporter.decode.coding import undo
from exporter.publish import PayloadLog, PayloadLogConfig
from exporter.settings.config import Config

_PREFIX = "payload_log_"


def payload_log(config: Config, created: float) -> PayloadLog | None:
    """None where no target is configured. `created` is the unix time in seconds from which it counts."""
    if not config.payload_log_target:
        return None
    names = [field.name for field in fields(PayloadLogConfig) if hasattr(config, _PREFIX + field.name)]
    given = {name: getattr(config, _PREFIX + name) for name in names}
    given["source"] = given["source"] or _source(config.listen)
    return PayloadLog(PayloadLogConfig(**given), undo, created)


def _source(listen: str) -> str:
    """Which sidecar it is, where the owner does not say: a URI, as CloudEvents want it."""
    if listen.startswith("unix:"):
        return f"urn:modeltap:{socket.gethostname()}"
    return f"http://{socket.gethostname()}:{listen.rpartition(':')[2]}/"
