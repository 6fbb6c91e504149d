"""The access log of a configuration: standard output, written to as the log of the sidecar is, or a file."""

from exporter.processes import logs
from exporter.publish import AccessLog
from exporter.publish.line_output import Descriptor, LogFile
from exporter.settings.config import Config

STANDARD_OUTPUT = "-"


def access_log(config: Config, created: float, descriptor: int = 1) -> AccessLog | None:
    """None where it is off. `created` is the unix time in seconds from which it counts."""
    if not config.access_log:
        return None
    if config.access_log == STANDARD_OUTPUT:
        return AccessLog(Descriptor(logs.writer(descriptor)), config.access_log_sample, created)
    output = LogFile(config.access_log, config.access_log_bytes)
    return AccessLog(output, config.access_log_sample, created)
