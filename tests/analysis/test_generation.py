"""generation.py: what exchanges with generative models add up to, by the conventions' names and ours."""

from typing import Any

import pytest

from exporter.analysis.engine import Engine, Known
from exporter.analysis.generation import MAX_ERRORS, MAX_NAMES, Generations, opted_in
from exporter.records.catalogue import metric
from exporter.records.exchange import Exchange
from exporter.records.observation import Generation
from exporter.records.sample import Histogram, Sample
from tests.analysis.generations import MS, chunk, sse, streamed, told, usage
from tests.analysis.world import BOUNDS, NOW, feed, found, numbers, v2
from tests.decode.exchanges import exchange

NAMES = ("chat", "openai", "llama", "llama-3")
OURS = ("llama", "unknown", "chat")


def counted(*exchanges: Exchange, newer: bool = False) -> list[Sample]:
    """What an engine exports after these."""
    engine = Engine((), Known("", "", (300.0,)), BOUNDS, NOW)
    engine.generations.newer = newer
    feed(engine, exchanges)
    return list(engine.snapshot().samples())


def only(samples: list[Sample], name: str, labels: tuple[str, ...]) -> Histogram:
    """The one histogram of that family."""
    family = found(samples, name)
    assert list(family) == [labels]
    value: Histogram = family[labels]
    assert value.exponential is None or sum(value.exponential.positive) == value.count
    return value


def test_a_whole_stream() -> None:
    """First token, each token, rate, tokens, sizes, reason: from the marks of content, once per exchange."""
    samples = counted(told(4, 3, streamed=True, marks=True))
    # Events: the role at 100 ms, content at 110, 120 and 130 ms, then reason, usage and the end.
    assert only(samples, "gen_ai.server.time_to_first_token", NAMES).sum == pytest.approx(0.110)
    each = only(samples, "gen_ai.server.time_per_output_token", NAMES)
    assert (each.count, each.sum) == (1, pytest.approx(0.010))
    assert only(samples, "model.generation.rate", OURS).sum == pytest.approx(100.0)
    assert only(samples, "gen_ai.server.request.duration", (*NAMES, "")).sum == pytest.approx(0.2)
    assert {
        labels[-1]: value.sum for labels, value in found(samples, "gen_ai.client.token.usage").items()
    } == {
        "input": 4.0,
        "output": 3.0,
    }
    assert found(samples, "model.generation.tokens") == {
        (*OURS, "input", "server"): 4,
        (*OURS, "output", "server"): 3,
        (*OURS, "cached_input", "server"): 1,
        (*OURS, "reasoning_output", "server"): 1,
    }
    assert only(samples, "model.generation.prompt.size", OURS).sum == 5
    assert only(samples, "model.generation.completion.size", OURS).sum == 3
    assert found(samples, "model.generation.finished") == {(*OURS, "stop"): 1}
    assert found(samples, "model.generation.estimated") == {OURS: 0}
    assert found(samples, "model.generation.streams") == {
        (*OURS, outcome): int(outcome == "whole") for outcome in ("whole", "aborted", "failed", "broken")
    }
    assert found(samples, "model.exchanges.decoded")["llama", "openai", "decoded"] == 1


@pytest.mark.parametrize(
    ("head", "role", "seen"),
    [
        ("host: llm", "live", True),
        ("x-role: canary", "canary", True),
        ("host: llm-shadow:80", "shadow", False),
        ("x-role: synthetic", "synthetic", False),
    ],
)
@pytest.mark.parametrize("status", [200, 500])
def test_nobody_waits_for_a_mirror(head: str, role: str, seen: bool, status: int) -> None:
    """What is not live counts in no family of generations, whole or failed; its rows count by role."""
    request_head = b"POST /v1/chat/completions HTTP/1.1\r\n" + head.encode() + b"\r\n\r\n"
    engine = Engine((), Known("", "", (300.0,), role_header="x-role"), BOUNDS, NOW)
    feed(engine, [told(4, 3, streamed=True, marks=True, request_head=request_head, status=status)])
    samples = list(engine.snapshot().samples())
    families = {sample.name for sample in samples}
    generated = {name for name in families if name.startswith(("gen_ai.", "model.generation."))}
    assert bool(generated) is seen
    if status == 200:
        place = metric("model.batch.rows").labels.index("role")
        assert [one.labels[place] for one in samples if one.name == "model.batch.rows"] == [role]


def test_a_plain_answer() -> None:
    """It has a duration and tokens, and no times within."""
    samples = counted(told(4, 3))
    assert only(samples, "gen_ai.server.request.duration", (*NAMES, "")).count == 1
    for name in (
        "gen_ai.server.time_to_first_token",
        "gen_ai.server.time_per_output_token",
        "model.generation.streams",
    ):
        assert found(samples, name) == {}


def test_a_stream_that_came_in_one_read() -> None:
    """Its first token has a time; what a token took cannot be told."""
    body = sse(chunk("a"), chunk("b"), chunk("", "stop"))
    stream = streamed(body).stream
    assert stream is not None
    one = type(stream)([len(body)], [50 * MS], stream.events)
    samples = counted(streamed(body, one))
    assert only(samples, "gen_ai.server.time_to_first_token", NAMES).sum == pytest.approx(0.05)
    assert found(samples, "gen_ai.server.time_per_output_token") == {}


def test_tokens_that_nobody_told() -> None:
    """Chunks with content stand for them, marked as an estimate, and never as the conventions' usage."""
    samples = counted(streamed(sse(chunk(), chunk("a"), chunk("b"), chunk("", "stop"))))
    assert found(samples, "model.generation.tokens") == {(*OURS, "output", "estimate"): 2}
    assert found(samples, "model.generation.estimated") == {OURS: 1}
    assert found(samples, "gen_ai.client.token.usage") == {}
    assert only(samples, "gen_ai.server.time_per_output_token", NAMES).sum == pytest.approx(0.010)


ENDS = {
    "abort": ("aborted", "abort"),
    "incomplete": ("broken", "incomplete"),
    "reset": ("broken", "reset"),
    "timeout": ("broken", "timeout"),
    "stream_error": ("failed", "stream_error"),
}


@pytest.mark.parametrize("error", ENDS)
def test_streams_that_end_early(error: str) -> None:
    """They count apart, have no times of tokens, and no row in any window."""
    outcome, kind = ENDS[error]
    body = sse(chunk(), chunk("a"), chunk("b"), done=False)
    samples = counted(streamed(body, error_type=error, response_captured=False))
    assert found(samples, "model.generation.streams")[(*OURS, outcome)] == 1
    assert only(samples, "gen_ai.server.request.duration", (*NAMES, kind)).count == 1
    assert found(samples, "gen_ai.server.time_to_first_token") == {}
    assert found(samples, "model.generation.tokens") == {(*OURS, "output", "estimate"): 2}
    assert found(samples, "model.predictions") == {}


def test_error_within_a_stream() -> None:
    """An error after 200 is told by its event, whatever the data plane made of it."""
    body = sse(chunk("a"), {"error": {"message": "no"}})
    samples = counted(streamed(body))
    assert found(samples, "model.generation.streams")[(*OURS, "failed")] == 1
    assert only(samples, "gen_ai.server.request.duration", (*NAMES, "stream_error")).count == 1


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"status": 429, "error_type": "4xx"}, "429"),
        ({"status": 500, "error_type": "5xx"}, "500"),
        ({"status": 0, "error_type": "reset"}, "reset"),
        ({"status": 0, "error_type": "abort"}, "abort"),
        ({"request_captured": False}, ""),
    ],
)
def test_what_no_body_tells(changes: dict[str, Any], error: str) -> None:
    """Failures, and what was not kept, count with their duration under the names that the labels have."""
    samples = counted(told(4, 3, **changes))
    assert only(samples, "gen_ai.server.request.duration", ("chat", "openai", "llama", "", error)).count == 1
    unknown = counted(told(4, 3, **changes, model_name="unknown"))
    assert only(unknown, "gen_ai.server.request.duration", ("chat", "openai", "", "", error)).count == 1


def test_others_are_none_of_its_business() -> None:
    """Predictive models count nothing here, and neither does what a path alone cannot tell."""
    root = exchange("/", b"{}", b"{}")
    samples = counted(v2({"x": [1.0]}, {"y": [0.5]}), v2({}, {}, status=500), root)
    assert [sample.name for sample in samples if sample.name.startswith(("gen_ai", "model.generation"))] == []


def test_the_newer_form_takes_the_place_of_the_other() -> None:
    """By opt-in there are counters and histograms of the conventions to come, and no `gen_ai.client.token.usage`."""
    samples = counted(told(4, 3), told(6, 1), newer=True)
    prefix = "gen_ai.client.inference"
    counts = {
        "usage.input_tokens": 10,
        "usage.output_tokens": 4,
        "usage.cache_read.input_tokens": 2,
        "usage.reasoning.output_tokens": 2,
    }
    assert {name: found(samples, f"{prefix}.{name}") for name in counts} == {
        name: {NAMES: count} for name, count in counts.items()
    }
    assert only(samples, f"{prefix}.operation.input_tokens", NAMES).sum == 10
    assert only(samples, f"{prefix}.operation.output_tokens", NAMES).count == 2
    assert found(samples, "gen_ai.client.token.usage") == {}


@pytest.mark.parametrize(
    ("value", "opted"),
    [
        ("", False),
        ("http", False),
        ("gen_ai_latest_experimental", True),
        ("http/dup, gen_ai_latest_experimental", True),
    ],
)
def test_opting_in(value: str, opted: bool) -> None:
    """The standard variable is a list of words."""
    assert opted_in({"OTEL_SEMCONV_STABILITY_OPT_IN": value}) is opted
    assert not opted_in({})


def test_names_are_bounded() -> None:
    """Sets of names beyond the bound count under `<other>`; nothing else grows."""
    made = Generations(NOW)
    for number in range(3 * MAX_NAMES):
        generation = Generation(
            operation="chat", provider="openai", request_model=f"m{number}", input_tokens=1
        )
        made.add(told(1, 1), generation, ("m", "1"))
    usage_counts = found(list(made.copy().samples()), "gen_ai.client.token.usage")
    assert len(usage_counts) == MAX_NAMES + 1
    assert usage_counts[("<other>",) * 4 + ("input",)].count == 2 * MAX_NAMES


def test_errors_are_bounded() -> None:
    """So many error types of one set of names, then the conventions' `_OTHER`."""
    made = Generations(NOW)
    for status in range(400, 400 + 3 * MAX_ERRORS):
        made.unread(told(1, 1, status=status, error_type="4xx"))
    durations = found(list(made.copy().samples()), "gen_ai.server.request.duration")
    assert len(durations) == MAX_ERRORS + 1
    assert durations["chat", "openai", "llama", "", "_OTHER"].count == 2 * MAX_ERRORS


def test_a_copy_stays_as_it_was_and_nothing_goes_back() -> None:
    """What is exported only grows, and a copy does not change with what is counted later."""
    made, before = Generations(NOW), {}
    for number in range(1, 6):
        answer = streamed(sse(chunk("a"), chunk("b", "stop"), {"choices": [], "usage": usage(number, 2)}))
        engine = Engine((), Known("", "", (300.0,)), BOUNDS, NOW)
        observation = engine.understand(answer)
        assert not isinstance(observation, str) and observation.generation is not None
        copy = made.copy()
        frozen = list(copy.samples())
        made.add(answer, observation.generation, ("llama", "1"))
        assert list(copy.samples()) == frozen
        now = {(sample.name, sample.labels): numbers(sample) for sample in made.copy().samples()}
        assert all(old <= new for cell in before for old, new in zip(before[cell], now[cell], strict=True))
        before = now
    assert made.shape == (len(made._counts), len(made._tallies))


def test_embeddings() -> None:
    """Input tokens and a duration; the vectors are in the windows by their aspects."""
    body = b'{"data":[{"embedding":[0.5,1.0]}],"model":"bge-m3","usage":{"prompt_tokens":3}}'
    samples = counted(exchange("/v1/embeddings", b'{"model":"bge","input":"abc"}', body, model_name="bge"))
    assert (
        only(samples, "gen_ai.client.token.usage", ("embeddings", "openai", "bge", "bge-m3", "input")).sum
        == 3
    )
    assert {labels[2] for labels in found(samples, "model.feature.bin")} == {"input_characters"}
    assert {labels[-2:] for labels in found(samples, "model.info")} == {("embedding", "server")}
    outputs = {labels[2] for labels in found(samples, "model.prediction.bin")}
    assert outputs == {"embedding:norm", "embedding:zeros", *(f"embedding:projection_{n}" for n in range(8))}
    assert found(samples, "model.generation.tool_calls") == {}


def test_windows_see_sizes_and_reasons() -> None:
    """A whole generation is one row: sizes as numbers, the reason as a class."""
    samples = counted(told(4, 3), told(4, 3, streamed=True, marks=True))
    assert {labels[2] for labels in found(samples, "model.feature.bin")} == {
        "prompt_characters",
        "prompt_tokens",
    }
    assert {labels[-2:] for labels in found(samples, "model.info")} == {("text", "server")}
    assert set(found(samples, "model.task.contradictions").values()) == {0}
    predictions = found(samples, "model.predictions")
    assert predictions["llama", "unknown", "finish_reason", "stop", "live"] == 2
