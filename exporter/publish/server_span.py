"""Exchange -> Span: what a finished, sampled exchange tells a trace, by the HTTP semantic conventions.

Refuses to choose what is traced (the data plane did, before the head left), to look into bodies, and to import the SDK.
Invariant: nothing that a client chooses freely is in a name or a route, and no text is longer than `TEXT_LIMIT`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from exporter.records.exchange import ERROR_OWNERS, UNKNOWN, Exchange, Trace, header
from exporter.records.observation import Generation
from exporter.records.routes import ROUTES, Rule, path_of

# OpenTelemetry semantic conventions 1.44, http.request.method: any other method would be a label without a bound.
KNOWN_METHODS = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")
)
# Bounds what a client can make the queue hold: 2048 spans of a few such texts.
TEXT_LIMIT = 256
Value = str | int | float | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the analysis made of the exchange: `outcome` is decoded or the reason why not, "" where it was not asked;
    `rows` is the batch size where it was decoded; `generation` is what was decoded of a generative model.
    """

    outcome: str = ""
    rows: int = 0
    generation: Generation | None = None


NOTHING = Decoded()


@dataclass(frozen=True, slots=True)
class Span:
    """One finished server span. Ids as in `trace`; times in unix nanoseconds; `events` are (name, time).

    `decoded` is the outcome of decoding, "" if it is not known.
    """

    name: str
    trace: Trace
    trace_state: str
    start: int
    end: int
    attributes: dict[str, Value]
    events: tuple[tuple[str, int], ...]
    error: bool
    decoded: str = ""


def server_span(
    exchange: Exchange, decoded: Decoded = NOTHING, rules: Iterable[Rule] = ROUTES, late: bool = False
) -> Span:
    """The server span of a sampled exchange; `late` marks one that was chosen when it was over.

    Names and values follow the HTTP semantic conventions 1.44. ValueError for an exchange without a trace.
    """
    if exchange.trace is None:
        raise ValueError("the exchange was not sampled: it has no trace")
    method = exchange.method if exchange.method in KNOWN_METHODS else "_OTHER"
    route = route_of(exchange.method, exchange.path, rules)
    server_failed = exchange.status >= 500 or ERROR_OWNERS.get(exchange.error_type) in ("server", "sidecar")
    return Span(
        name=f"{'HTTP' if method == '_OTHER' else method} {route}".rstrip(),
        trace=exchange.trace,
        trace_state=_text(header(exchange.request_head, b"tracestate"), 512),
        start=exchange.start,
        end=exchange.start + max(exchange.duration, 0),
        attributes={
            **_http_attributes(exchange, method, route),
            **_model_attributes(exchange, decoded.rows),
            **(_generation_attributes(decoded.generation) if decoded.generation is not None else {}),
            **({"modeltap.sampled": "late"} if late else {}),
        },
        events=_events(exchange),
        error=server_failed,
        decoded=decoded.outcome,
    )


def route_of(method: str, target: str, rules: Iterable[Rule] = ROUTES) -> str:
    """The path with `{name}` and `{version}` for what names the model; "" where the route table does not bound it."""
    path = path_of(target)
    for rule in rules:
        if rule.methods and method not in rule.methods:
            continue
        found = rule.pattern.fullmatch(path)
        if found is None:
            continue
        if ".*" in rule.pattern.pattern:
            return ""
        spans = {group: found.span(group) for group, value in found.groupdict().items() if value is not None}
        for group, (start, end) in sorted(spans.items(), key=lambda item: item[1], reverse=True):
            path = f"{path[:start]}{{{group}}}{path[end:]}"
        return path
    return ""


def _http_attributes(exchange: Exchange, method: str, route: str) -> dict[str, str | int]:
    found: dict[str, str | int] = {"http.request.method": method, "url.scheme": "http"}
    if method == "_OTHER":
        found["http.request.method_original"] = exchange.method[:TEXT_LIMIT]
    if route:
        found["http.route"] = route
    if exchange.status > 0:
        found["http.response.status_code"] = exchange.status
    found |= _server_address(_text(header(exchange.request_head, b"host")))
    if agent := _text(header(exchange.request_head, b"user-agent")):
        found["user_agent.original"] = agent
    if version := _http_version(exchange.request_head):
        found["network.protocol.version"] = version
    if (
        size := _body_size(exchange.request_head, exchange.request_body, exchange.request_captured)
    ) is not None:
        found["http.request.body.size"] = size
    if (size := _response_body_size(exchange)) is not None:
        found["http.response.body.size"] = size
    if error := _error_type(exchange):
        found["error.type"] = error
    return found


def _model_attributes(exchange: Exchange, rows: int) -> dict[str, str | int]:
    known = {
        "model.name": exchange.model_name,
        "model.version": exchange.model_version,
        "model.operation": exchange.operation,
        "model.protocol": exchange.protocol,
    }
    found: dict[str, str | int] = {key: value for key, value in known.items() if value not in ("", UNKNOWN)}
    if rows > 0:
        found["model.batch.size"] = rows
    return found


def _generation_attributes(made: Generation) -> dict[str, Value]:
    """Those of the conventions for generative models 1.41 that hold no content."""
    told: dict[str, Value | None] = {
        "gen_ai.operation.name": made.operation,
        "gen_ai.provider.name": made.provider,
        "gen_ai.request.model": made.request_model or None,
        "gen_ai.response.model": made.response_model or None,
        "gen_ai.request.stream": made.streamed or None,
        "gen_ai.response.finish_reasons": made.finish_reasons or None,
        "gen_ai.usage.input_tokens": made.input_tokens,
        # An estimate is no usage.
        "gen_ai.usage.output_tokens": None if made.estimated else made.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": made.cached_tokens,
        "gen_ai.usage.reasoning.output_tokens": made.reasoning_tokens,
        "gen_ai.response.time_to_first_chunk": None
        if made.first_content is None
        else made.first_content / 1e9,
        **dict(made.parameters),
    }
    if made.error:
        told["error.type"] = made.error
    return {key: value for key, value in told.items() if value is not None}


def _error_type(exchange: Exchange) -> str:
    """The status code where it is the error (the conventions want that), else our error type; none for a 4xx."""
    if exchange.error_type in ("", "5xx"):
        return str(exchange.status) if exchange.status >= 500 else ""
    return "" if exchange.error_type == "4xx" else exchange.error_type


def _events(exchange: Exchange) -> tuple[tuple[str, int], ...]:
    found: list[tuple[str, int]] = []
    if exchange.queue_wait > 0:
        found.append(("model.queue.wait.end", exchange.start + exchange.queue_wait))
    if exchange.time_to_first_byte > 0:
        found.append(("model.response.first_byte", exchange.start + exchange.time_to_first_byte))
        if ERROR_OWNERS.get(exchange.error_type) is None or exchange.error_type in ("4xx", "5xx"):
            found.append(("model.response.last_byte", exchange.start + exchange.duration))
    return tuple(found)


def _server_address(host: str) -> dict[str, str | int]:
    """Host header -> address and port; a bracketed IPv6 address loses its brackets, as the conventions want."""
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        name, port = host, ""
    found: dict[str, str | int] = {"server.address": name.strip("[]")} if name else {}
    if port.isascii() and port.isdecimal():
        found["server.port"] = int(port)
    return found


def _http_version(head: bytes) -> str:
    line = head.partition(b"\r\n")[0]
    version = line.rpartition(b" HTTP/")[2]
    return _text(version, 8) if b" HTTP/" in line else ""


def _body_size(head: bytes, body: bytes, captured: bool) -> int | None:
    if captured:
        return len(body)
    length = header(head, b"content-length")
    return int(length) if length.isdigit() and len(length) < 19 else None


def _response_body_size(exchange: Exchange) -> int | None:
    # Their Content-Length tells of a body that was not sent.
    if exchange.status == 0 or exchange.method == "HEAD" or exchange.status == 304:
        return None
    return _body_size(exchange.response_head, exchange.response_body, exchange.response_captured)


def _text(value: bytes, limit: int = TEXT_LIMIT) -> str:
    return value[:limit].decode("latin-1")
