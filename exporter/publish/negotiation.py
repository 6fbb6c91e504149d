"""Accept header -> the format of an exposition: text 0.0.4, OpenMetrics 1.0 or Prometheus' protobuf.

Knows no samples. What names none of them gets text 0.0.4, as from other exporters: a scrape is never answered with
406. Every name that the catalogue gives is valid in all of them, so no escaping scheme has to be agreed upon.
"""

from typing import Final

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROTOBUF: Final = (
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)


def negotiate(accept: str) -> str:
    """The content type that an Accept header ("" = none was sent) ranks highest; the first listed wins a tie."""
    best, chosen = 0.0, TEXT
    for item in accept.lower().split(","):
        media, *parameters = (part.strip() for part in item.split(";"))
        options = dict(part.replace(" ", "").partition("=")[::2] for part in parameters)
        options = {key: value.strip('"') for key, value in options.items()}
        found = _format(media, options)
        quality = quality_of(options.get("q", "1"))
        if found and quality > best:
            best, chosen = quality, found
    return chosen


def _format(media: str, options: dict[str, str]) -> str:
    version = options.get("version", "")
    if media == "application/openmetrics-text":
        return OPENMETRICS if version in ("", "1.0.0") else ""
    if media == "application/vnd.google.protobuf":
        known = options.get("proto") == "io.prometheus.client.metricfamily"
        return PROTOBUF if known and options.get("encoding") == "delimited" else ""
    if media in ("*/*", "text/*"):
        return TEXT
    return TEXT if media == "text/plain" and version in ("", "0.0.4") else ""


def quality_of(text: str) -> float:
    """The value of a `q` parameter; 0.0 for what is no number from 0 to 1."""
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0.0 <= quality <= 1.0 else 0.0
