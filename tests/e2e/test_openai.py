"""The real openai client through a real sidecar to a server that streams: both tell the same figures."""

import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import llm_server
from tests.e2e.exposition import samples, scrape, total
from tests.e2e.processes import LOOPBACK, Program, free_ports, running, wait_until
from tests.e2e.sidecar import ROOT, addresses, sidecar
from tests.environments.make import environment

MODEL = llm_server.MODEL
CLIENT = Path(__file__).with_name("openai_client.py")
COUNT = "gen_ai_server_request_duration_seconds_count"
FIRST = "gen_ai_server_time_to_first_token_seconds"
EACH = "gen_ai_server_time_per_output_token_seconds"
# Streams that end well, and have a time for their tokens.
WHOLE = ("usage", "no_usage", "length", "tools", "lockstep")


@dataclass(frozen=True, slots=True)
class Told:
    """What the client saw, what the server did, what the sidecar exports."""

    client: dict[str, dict[str, Any]]
    server: list[dict[str, Any]]
    values: dict[str, float]
    asking: bool  # the sidecar asks for usage where the client does not

    def sum(self, name: str, **labels: str) -> float:
        return total(self.values, name, **labels)


@pytest.fixture(scope="module", params=["as the client asks", "usage asked for"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """Every case once, and once more where the sidecar asks for the usage that the client does not ask for."""
    folder = tmp_path_factory.mktemp("openai")
    python = environment("openai") / "bin" / "python"
    (port,) = free_ports(1)
    server = f"http://{LOOPBACK}:{port}"
    command = [sys.executable, "-m", "tests.e2e.llm_server", str(port)]
    upstream, at = Program("server", command, folder, {"PYTHONPATH": str(ROOT)}), addresses()
    asking = request.param == "usage asked for"
    flags = ("--series-hold", "0", "--include-usage", str(asking).lower())
    with (
        running(upstream, f"{server}/health"),
        running(sidecar(folder, at, port, flags), at.ready) as process,
    ):
        proxy = f"http://{LOOPBACK}:{at.proxy}"
        done = subprocess.run(
            [python, CLIENT, proxy, server], capture_output=True, text=True, timeout=90, check=False
        )
        assert done.returncode == 0, done.stderr
        client = json.loads(done.stdout)
        wait_until(
            lambda: total(samples(scrape(at.metrics)), COUNT) == len(client),
            "all are analysed",
            process=process,
        )
        with urllib.request.urlopen(f"{server}/ledger", timeout=10) as ledger:
            yield Told(client, json.loads(ledger.read()), samples(scrape(at.metrics)), asking)


def test_the_client_saw_what_the_server_does(told: Told) -> None:
    """The cases are what they are meant to be: otherwise nothing below says much."""
    case = told.client
    assert case["usage"]["texts"] == 8 and case["usage"]["usage"] == [10, 8]
    assert case["no_usage"]["usage"] is None
    # A role, six tokens, a reason: no extra chunk, asked for or not.
    assert case["no_usage"]["chunks"] == 8
    assert case["lockstep"]["texts"] == 40
    assert case["unknown_model"] == {"error": 404}
    assert case["failed"]["error"] == "APIError"
    assert case["broken"]["error"] == "APIConnectionError"
    assert case["aborted"]["texts"] == 5 and case["aborted"]["reason"] == ""
    assert case["tools"]["calls"] == case["plain_tools"]["calls"] == 2
    assert case["embeddings_base64"] == case["embeddings_float"]
    assert case["responses"]["deltas"] == 2


def test_every_exchange_by_model_and_outcome(told: Told) -> None:
    """Each is counted once, under the model that its body names, with the error that the client saw."""
    for kind, count in (("404", 1), ("stream_error", 1), ("incomplete", 1), ("abort", 1)):
        assert told.sum(COUNT, error_type=kind) == count, kind
    chats = [name for name in told.client if not name.startswith(("completion", "embeddings"))]
    assert told.sum(COUNT, gen_ai_operation_name="chat") == len(chats)
    assert told.sum(COUNT, gen_ai_operation_name="text_completion") == 1
    assert told.sum(COUNT, gen_ai_operation_name="embeddings") == 2
    assert told.sum(COUNT, gen_ai_request_model=MODEL) == len(told.client) - 2
    assert told.sum("model_request_errors_total", model_name=MODEL, error_type="stream_error") == 1
    assert told.sum("model_request_duration_seconds_count", model_name=MODEL) == len(told.client) - 2
    assert told.sum("model_request_duration_seconds_count", model_name="other") == 1
    assert told.sum("model_request_duration_seconds_count", model_name="unknown", code="404") == 1


def test_tokens(told: Told) -> None:
    """Input, output and cached tokens add up to what the client was told; others are an estimate, and said to be."""
    tokens, usages = "model_generation_tokens_total", [case.get("usage") for case in told.client.values()]
    usages = [usage for usage in usages if usage]
    embedded = sum(told.client[f"embeddings_{form}"]["tokens"] for form in ("base64", "float"))
    # Streams of which the client was not told the tokens; some broke off before anybody was.
    untold = ["no_usage", "lockstep", "failed", "broken", "aborted"]
    if told.asking:
        usages += [[10, told.client[name]["texts"]] for name in ("no_usage", "lockstep")]
        untold = untold[2:]
    prompt, completion = (sum(usage[side] for usage in usages) for side in (0, 1))
    cached = sum(case.get("cached") or 0 for case in told.client.values()) + (10 if told.asking else 0)
    assert told.sum(tokens, gen_ai_token_type="input", source="server") == prompt + embedded
    assert told.sum(tokens, gen_ai_token_type="output", source="server") == completion
    assert told.sum(tokens, gen_ai_token_type="cached_input") == cached
    assert told.sum(tokens, source="estimate") == sum(told.client[name]["texts"] for name in untold)
    assert told.sum("model_generation_estimated_total") == len(untold)
    usage = "gen_ai_client_token_usage"
    assert told.sum(f"{usage}_sum", gen_ai_token_type="input") == prompt + embedded
    assert told.sum(f"{usage}_sum", gen_ai_token_type="output") == completion
    assert told.sum(f"{usage}_count", gen_ai_token_type="output") == len(usages)


def test_how_they_ended(told: Told) -> None:
    """Streams by outcome, reasons of every choice, tool calls."""
    streams = "model_generation_streams_total"
    assert told.sum(streams, outcome="whole") == len(WHOLE) + 1  # and the one of the Responses API
    for outcome in ("failed", "broken", "aborted"):
        assert told.sum(streams, outcome=outcome) == 1, outcome
    reasons = Counter(case["reason"] for case in told.client.values() if case.get("reason"))
    reasons.update(reason for case in told.client.values() for reason in case.get("reasons", ()))
    reasons["completed"] = 1
    assert {reason: told.sum("model_generation_finished_total", reason=reason) for reason in reasons} == dict(
        reasons
    )
    assert told.sum("model_generation_finished_total") == reasons.total()
    assert told.sum("model_generation_tool_calls_total") == 4


def test_times_lie_between_the_servers_and_the_clients(told: Told) -> None:
    """The sidecar sees a token after the server wrote it and before the client has it, and the request likewise."""
    written = [entry for entry in told.server if not {"error", "break", "hang"} & entry["plan"].keys()]
    received = [told.client[name] for name in WHOLE]
    pairs = list(zip(written, received, strict=True))
    assert told.sum(f"{FIRST}_count", gen_ai_request_model=MODEL) == len(WHOLE)
    least = sum(server["content"][0] - server["received"] for server, _ in pairs)
    most = sum(client["first"] - client["sent"] for _, client in pairs)
    assert least <= told.sum(f"{FIRST}_sum", gen_ai_request_model=MODEL) <= most
    # Tokens that came in one read have no times apart, and such a stream no time per token: a loaded machine may join
    # all of one, but never those of which each waits until the one before has arrived.
    timed = told.sum(f"{EACH}_count", gen_ai_request_model=MODEL)
    assert 1 <= timed <= len(WHOLE)
    least = most = 0.0
    for server, client in pairs:
        tokens = client["usage"][1] if client["usage"] else client["texts"]
        least += (server["content"][-1] - client["first"]) / (tokens - 1)
        most += (client["last"] - server["content"][0]) / (tokens - 1)
    each = told.sum(f"{EACH}_sum", gen_ai_request_model=MODEL)
    assert 0 < each <= most
    assert least <= each or timed < len(WHOLE)


def test_embeddings_are_rows(told: Told) -> None:
    """Two inputs each, of which the lengths are seen; what was decoded says so."""
    assert told.sum("model_window_rows", feature="input_characters", window="5m") in (0, 4)
    decoded = "model_exchanges_decoded_total"
    assert told.sum(decoded, protocol="openai", outcome="decoded") == len(told.client) - 1
    assert told.sum(decoded, protocol="openai", outcome="not_2xx") == 1


def test_usage_asked_for_in_the_clients_place(told: Told) -> None:
    """Each stream that did not ask is asked for, and what came of it is hidden; without the setting, none."""
    outcomes = {
        outcome: told.sum("modeltap_usage_requests_total", outcome=outcome) for outcome in ("asked", "hidden")
    }
    assert outcomes == ({"asked": 5, "hidden": 2} if told.asking else {"asked": 0, "hidden": 0})
    assert told.sum("modeltap_usage_requests_total") == sum(outcomes.values())
