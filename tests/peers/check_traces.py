"""A real trace backend takes spans over gRPC and HTTP and, asked over its API, has them as they were.

Arize Phoenix, in an environment of its own. A chat that streams and an inference go through a real sidecar; the
caller's own span is their parent.
"""

import json
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.app.upstream import Upstream
from tests.e2e import llm_server
from tests.e2e.processes import LOOPBACK, Program, free_ports, running, wait_until
from tests.e2e.sidecar import ROOT, addresses, otlp_environment, sidecar
from tests.environments.make import environment

DEADLINE = 60.0
Span = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Backend:
    """Phoenix on its two ports."""

    http: int
    grpc: int

    def endpoint(self, protocol: str) -> str:
        """Where that protocol is taken."""
        return f"http://{LOOPBACK}:{self.grpc if protocol == 'grpc' else self.http}"

    def spans(self, trace: str) -> list[Span]:
        """All of that trace, as it gives them out again."""
        url = f"http://{LOOPBACK}:{self.http}/v1/projects/default/spans/otlpv1?limit=1000"
        with urllib.request.urlopen(url, timeout=30) as answer:
            found: list[Span] = json.load(answer)["data"]
        return [span for span in found if span["trace_id"] == trace]


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """One for all; it is told not to call home."""
    http, grpc = free_ports(2)
    folder = tmp_path_factory.mktemp("phoenix")
    told = {
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_HOST": LOOPBACK,
        "PHOENIX_PORT": str(http),
        "PHOENIX_GRPC_PORT": str(grpc),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    command = [environment("phoenix") / "bin" / "phoenix", "serve"]
    with running(Program("phoenix", command, folder, told), f"http://{LOOPBACK}:{http}/healthz"):
        yield Backend(http, grpc)


def ask(port: int, path: str, body: dict[str, Any], trace: str) -> None:
    """One request within that trace."""
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "content-type": "application/json"}
    url = f"http://{LOOPBACK}:{port}{path}"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.read()


def arrived(backend: Backend, trace: str) -> Span:
    """The one span of that trace, once it is there."""
    (span,) = wait_until(lambda: backend.spans(trace), f"a span of {trace}", DEADLINE)
    events = [event["name"] for event in span["events"]]
    print(f"{span['name']}: {attributes(span)}, events {events}")  # shown by `make peers`
    return span


def attributes(span: Span) -> dict[str, Any]:
    """Flat: names to plain values, whichever way it nests them."""
    found: dict[str, Any] = {}

    def add(prefix: str, value: Any) -> None:
        if isinstance(value, dict) and not value.keys() & _KINDS.keys():
            for key, inner in value.items():
                add(f"{prefix}{'.' if prefix else ''}{key}", inner)
        else:
            found[prefix] = _plain(value)

    told = span["attributes"]
    if isinstance(told, list):
        return {one["key"]: _plain(one["value"]) for one in told}
    add("", told)
    return found


_KINDS = {
    "string_value": str,
    "int_value": int,
    "double_value": float,
    "bool_value": bool,
    "array_value": list,
}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        ((kind, inner),) = ((key, one) for key, one in value.items() if one is not None)
        return [_plain(one) for one in inner["values"]] if kind == "array_value" else _KINDS[kind](inner)
    return value


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_an_inference(backend: Backend, tmp_path: Path, protocol: str) -> None:
    """The server span of a prediction: its parent, kind, name, events and what it says of the model."""
    trace = f"{1 + (protocol == 'grpc'):032x}"
    told = otlp_environment(backend.endpoint(protocol), protocol, "churn") | {"OTEL_METRICS_EXPORTER": "none"}
    at = addresses()
    flags = ("--max-concurrency", "1", "--model-version", "7")
    with Upstream() as upstream, running(sidecar(tmp_path, at, upstream.port, flags, told), at.ready):
        column = {"name": "x", "shape": [1, 1], "datatype": "FP64", "data": [0.5]}
        ask(at.proxy, "/v2/models/echo/infer", {"inputs": [column]}, trace)
        span = arrived(backend, trace)
    assert span["name"] == "POST /v2/models/{name}/infer"
    assert span["parent_span_id"] == "00f067aa0ba902b7"
    assert int(span["end_time_unix_nano"]) > int(span["start_time_unix_nano"])
    events = ["model.response.first_byte", "model.response.last_byte", "model.decoded"]
    assert [event["name"] for event in span["events"]][-3:] == events
    found = attributes(span)
    assert (found["model.name"], found["model.version"], found["model.operation"]) == ("echo", "7", "predict")
    assert (found["http.response.status_code"], found["http.request.method"]) == (200, "POST")
    assert found["model.batch.size"] == 1


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_chat(backend: Backend, tmp_path: Path, protocol: str) -> None:
    """The span of a chat that streams has the conventions' attributes for generative models, and no content."""
    trace = f"{3 + (protocol == 'grpc'):032x}"
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "tests.e2e.llm_server", str(port)]
    server = Program("server", command, tmp_path, {"PYTHONPATH": str(ROOT)})
    told = otlp_environment(backend.endpoint(protocol), protocol, "llm") | {"OTEL_METRICS_EXPORTER": "none"}
    at = addresses()
    with (
        running(server, f"http://{LOOPBACK}:{port}/health"),
        running(sidecar(tmp_path, at, port, (), told), at.ready),
    ):
        messages = [{"role": "user", "content": "tokens=8 53cr3t"}]
        body = {"model": llm_server.MODEL, "messages": messages, "stream": True}
        ask(at.proxy, "/v1/chat/completions", {**body, "stream_options": {"include_usage": True}}, trace)
        span = arrived(backend, trace)
    assert "53cr3t" not in json.dumps(span)
    found = attributes(span)
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.request.model"] == found["gen_ai.response.model"] == llm_server.MODEL
    assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"]) == (10, 8)
    assert found["gen_ai.response.finish_reasons"] == ["stop"]
    assert found["gen_ai.response.time_to_first_chunk"] > 0
