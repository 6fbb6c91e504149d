"""Server spans: what an exchange becomes."""

import pytest

from exporter.publish.server_span import Decoded, route_of, server_span
from exporter.records.exchange import ERROR_OWNERS
from exporter.records.observation import Generation

from .exchanges import EXCHANGE, START, changed


def test_attributes_of_a_generation() -> None:
    """An exchange with a generative model has the conventions' attributes, those of what is known and no content."""
    made = Generation(
        operation="chat",
        provider="openai",
        request_model="llama",
        response_model="llama-3",
        streamed=True,
        input_tokens=9,
        output_tokens=2,
        cached_tokens=4,
        reasoning_tokens=0,
        first_content=250_000_000,
        finish_reasons=("stop",),
        parameters=(("gen_ai.request.max_tokens", 50), ("gen_ai.request.temperature", 0.5)),
    )
    found = server_span(EXCHANGE, Decoded(generation=made, rows=1)).attributes
    assert {key: value for key, value in found.items() if key.startswith("gen_ai.")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "llama",
        "gen_ai.response.model": "llama-3",
        "gen_ai.request.stream": True,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 0,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.temperature": 0.5,
    }
    little = Generation(
        operation="chat", provider="openai", output_tokens=5, estimated=True, error="stream_error"
    )
    found = server_span(EXCHANGE, Decoded(generation=little)).attributes
    assert {key for key in found if key.startswith("gen_ai.")} == {
        "gen_ai.operation.name",
        "gen_ai.provider.name",
    }
    assert found["error.type"] == "stream_error"


def test_attributes() -> None:
    """An exchange gives exactly these attributes, with the names of the semantic conventions and ours."""
    assert server_span(EXCHANGE, Decoded("decoded", 7)).attributes == {
        "http.request.method": "POST",
        "url.scheme": "http",
        "http.route": "/v2/models/{name}/versions/{version}/infer",
        "http.response.status_code": 200,
        "server.address": "model.example",
        "server.port": 8080,
        "user_agent.original": "curl/8",
        "network.protocol.version": "1.1",
        "http.request.body.size": 300,
        "http.response.body.size": 42,
        "model.name": "iris",
        "model.version": "3",
        "model.operation": "predict",
        "model.protocol": "open_inference_v2",
        "model.batch.size": 7,
    }


def test_name_times_and_events() -> None:
    """Name, times in nanoseconds, and the events whose time is known."""
    span = server_span(EXCHANGE)
    assert (span.name, span.start, span.end) == (
        "POST /v2/models/{name}/versions/{version}/infer",
        START,
        START + 9_000_000,
    )
    assert span.events == (
        ("model.queue.wait.end", START + 1_000_000),
        ("model.response.first_byte", START + 7_000_000),
        ("model.response.last_byte", START + 9_000_000),
    )
    assert server_span(changed(queue_wait=0, time_to_first_byte=0)).events == ()
    cut = server_span(changed(error_type="incomplete"))
    assert [name for name, _ in cut.events] == ["model.queue.wait.end", "model.response.first_byte"]


def test_the_result_of_decoding_is_told() -> None:
    """As it was found; not where nothing was asked."""
    assert server_span(EXCHANGE, Decoded("not_json")).decoded == "not_json"
    assert server_span(EXCHANGE).decoded == ""


def test_unsampled_exchange_is_refused() -> None:
    """Without a trace there is nothing to make a span of."""
    with pytest.raises(ValueError, match="not sampled"):
        server_span(changed(trace=None))


@pytest.mark.parametrize(
    ("method", "target", "route"),
    [
        ("POST", "/v2/models/iris/infer", "/v2/models/{name}/infer"),
        ("POST", "/v1/models/a%2Fb:predict", "/v1/models/{name}:predict"),
        (
            "POST",
            "http://host/v1/models/m/versions/1:predict?q",
            "/v1/models/{name}/versions/{version}:predict",
        ),
        ("POST", "/openai/v1/chat/completions", "/openai/v1/chat/completions"),
        ("GET", "/v2/health/live", "/v2/health/live"),
        ("POST", "/v2/repository/models/secret/load", ""),
        ("GET", "/some/path/42", ""),
        ("GET", "/v2/models/iris/infer", ""),
    ],
)
def test_routes_are_of_low_cardinality(method: str, target: str, route: str) -> None:
    """Nothing that a client chooses freely is in a route; without a bounded route there is none."""
    assert route_of(method, target) == route


def test_unknown_method() -> None:
    """A method outside the conventions' list becomes _OTHER, and HTTP in the name."""
    span = server_span(changed(method="BREW", path="/pot"))
    assert span.name == "HTTP"
    assert span.attributes["http.request.method"] == "_OTHER"
    assert span.attributes["http.request.method_original"] == "BREW"
    assert "http.route" not in span.attributes
    assert server_span(changed(method="GET", path="/pot")).name == "GET"


@pytest.mark.parametrize(
    ("status", "error_type", "error", "reason"),
    [
        (200, "", False, None),
        (404, "4xx", False, None),
        (500, "5xx", True, "500"),
        (503, "shed", True, "shed"),
        (429, "rejected", True, "rejected"),
        (0, "refused", True, "refused"),
        (200, "incomplete", True, "incomplete"),
        (200, "abort", False, "abort"),
    ],
)
def test_errors(status: int, error_type: str, error: bool, reason: str | None) -> None:
    """Failures of server and sidecar are errors, those of the client are not; error.type tells which."""
    span = server_span(changed(status=status, error_type=error_type))
    assert (span.error, span.attributes.get("error.type")) == (error, reason)
    assert ("http.response.status_code" in span.attributes) is (status > 0)


def test_every_error_type_has_a_status() -> None:
    """Each error type of the records is decided by its owner."""
    for error_type, owner in ERROR_OWNERS.items():
        assert server_span(changed(status=200, error_type=error_type)).error is (owner != "client")


@pytest.mark.parametrize(
    ("head", "address"),
    [
        (b"Host: [::1]:9000", {"server.address": "::1", "server.port": 9000}),
        (b"Host: [fe80::1]", {"server.address": "fe80::1"}),
        (b"Host: name", {"server.address": "name"}),
        (b"Host: name:http", {"server.address": "name"}),
        (b"Host:", {}),
        (b"X: y", {}),
    ],
)
def test_server_address(head: bytes, address: dict[str, object]) -> None:
    """Address and port come from the Host header, in every form it has."""
    span = server_span(changed(request_head=b"GET / HTTP/1.1\r\n" + head + b"\r\n\r\n"))
    assert {key: value for key, value in span.attributes.items() if key.startswith("server.")} == address


def test_bodies_that_were_not_sent_have_no_size() -> None:
    """Content-Length of a HEAD or 304 answer, or of none, is not the size of a body."""
    for fields in ({"method": "HEAD"}, {"status": 304}, {"status": 0}):
        span = server_span(changed(response_captured=False, **fields))
        assert "http.response.body.size" not in span.attributes
    chunked = changed(request_head=b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert "http.request.body.size" not in server_span(chunked).attributes


def test_texts_are_bounded() -> None:
    """What a client sends takes at most a few hundred characters of the queue, and any bytes are fine."""
    head = b"GET / HTTP/1.1\r\nUser-Agent: " + b"\xff" * 60_000 + b"\r\n\r\n"
    assert server_span(changed(request_head=head)).attributes["user_agent.original"] == "\xff" * 256
