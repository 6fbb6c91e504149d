"""The row "Generative models" of the dashboard: tokens, the time that they take, and how answers end.

It knows which question each panel answers. Invariant: each says that there is no generative model where there is none.
"""

from collections.abc import Sequence

from dashboards.panels import Panel, Query, coloured, empty, judged, stacked, stat, timeseries
from dashboards.queries import gauge, increase, latency, quantile, quantiles, rate, total
from dashboards.server import SILENT
from dashboards.variables import FIRST_TOKEN_TARGET, MODEL, SERIES, TARGET

NONE = "No generative model"
NEWER = "Not asked for by OTEL_SEMCONV_STABILITY_OPT_IN"
NAMED = f'{TARGET}, gen_ai_request_model=~"$model_name"'
_INFERENCE = "gen_ai.client.inference"


def panels() -> Sequence[Panel]:
    """All of them."""
    return (*_times(), *_tokens(), *_endings(), _asked_for())


def now() -> Sequence[Panel]:
    """One glance."""
    asked = total(rate("gen_ai.server.time_to_first_token", NAMED, "_count"))
    quick = total(rate("gen_ai.server.time_to_first_token", f"{NAMED}, {FIRST_TOKEN_TARGET}", "_bucket"))
    first, each = (
        Query(quantile(0.95, f"gen_ai.server.time_{part}", NAMED))
        for part in ("to_first_token", "per_output_token")
    )
    tokens = [
        Query(total(rate("model.generation.tokens", f'{SERIES}, gen_ai_token_type="{kind}"')), kind)
        for kind in ("input", "output")
    ]
    answers = total(rate("gen_ai.server.request.duration", NAMED, "_count"))
    running = total(gauge("model.server.requests.running", MODEL))
    cache = f"max({gauge('model.server.kv_cache.usage', MODEL)})"
    found = (
        stat("Answers", "Generations per second, failed ones included.", "reqps", Query(answers)),
        stat("First token, p95", "95 % of streamed answers began no later.", "s", first),
        judged(
            stat(
                "Within target",
                "Share of streamed answers that began no later than the target chosen above.",
                "percentunit",
                Query(f"{quick} / ({asked} > 0)"),
            ),
            *(("red", None), ("orange", 0.95), ("green", 0.99)),
        ),
        stat("By token, p95", "95 % of answers took no longer by token after the first.", "s", each),
        stat("Input tokens", "Tokens of prompts per second.", "short", tokens[0]),
        stat("Output tokens", "Tokens of answers per second.", "short", tokens[1]),
        empty(
            stat("At work", "Requests that the server works on, as it tells.", "short", Query(running)),
            SILENT,
        ),
        judged(
            empty(
                stat(
                    "KV cache",
                    "Share of the KV cache in use, of the fullest engine.",
                    "percentunit",
                    Query(cache),
                ),
                SILENT,
            ),
            *(("green", None), ("orange", 0.9)),
        ),
    )
    return found


def _times() -> Sequence[Panel]:
    first = latency(
        "Time to first token",
        "From the complete request head to the first chunk with content, of whole streamed answers.",
        quantiles("gen_ai.server.time_to_first_token", NAMED),
    )
    each = latency(
        "Time per output token",
        "From the first to the last chunk with content, by token after the first.",
        quantiles("gen_ai.server.time_per_output_token", NAMED),
    )
    whole = latency(
        "Duration of generations",
        "From the complete request head to the last byte, failed ones included.",
        quantiles("gen_ai.server.request.duration", NAMED),
    )
    return tuple(empty(panel, NONE) for panel in (first, each, whole))


def _tokens() -> Sequence[Panel]:
    spent = total(rate("model.generation.tokens", SERIES), "gen_ai_token_type", "source")
    tokens = timeseries(
        "Tokens",
        "Tokens per second by type, as the server told them; an estimate counts chunks in their place.",
        "short",
        Query(spent, "{{gen_ai_token_type}} {{source}}"),
    )
    speed = timeseries(
        "Speed of answers",
        "Output tokens per second of one answer, while it comes.",
        "short",
        *quantiles("model.generation.rate", SERIES),
    )
    usage = [
        Query(
            quantile(level, "gen_ai.client.token.usage", f'{NAMED}, gen_ai_token_type="{kind}"'),
            f"{kind} {word}",
        )
        for kind in ("input", "output")
        for word, level in (("p50", 0.5), ("p99", 0.99))
    ]
    each = timeseries("Tokens per exchange", "As the server told them.", "short", *usage)
    sizes = [
        Query(quantile(level, f"model.generation.{side}.size", SERIES), f"{side} {word}")
        for side in ("prompt", "completion")
        for word, level in (("p50", 0.5), ("p99", 0.99))
    ]
    size = timeseries("Prompt and completion size", "Characters of text.", "short", *sizes)
    return tuple(empty(panel, NONE) for panel in (tokens, speed, each, size))


def _endings() -> Sequence[Panel]:
    outcomes = total(rate("model.generation.streams", SERIES), "outcome")
    streams = stacked(
        timeseries(
            "Streams by outcome",
            "Streamed answers per second: whole, aborted by the client, failed after a 200, broken off by the server.",
            "short",
            Query(outcomes, "{{outcome}}"),
        )
    )
    streams = coloured(
        streams, {"whole": "green", "aborted": "orange", "failed": "red", "broken": "dark-red"}
    )
    reasons = total(rate("model.generation.finished", SERIES), "reason")
    finished = stacked(
        timeseries("Finish reasons", "How answers ended, per second.", "short", Query(reasons, "{{reason}}"))
    )
    all_streams = total(increase("model.generation.streams", SERIES))
    share = f"{total(increase('model.generation.estimated', SERIES))} / ({all_streams} > 0)"
    estimated = timeseries(
        "Streams without usage",
        "Share of streams whose tokens are an estimate, because the client did not ask for usage.",
        "percentunit",
        Query(share, "estimated"),
    )
    calls = total(rate("model.generation.tool_calls", SERIES), "model_name")
    tools = timeseries("Tool calls", "Calls of tools per second.", "short", Query(calls, "{{model_name}}"))
    return tuple(empty(panel, NONE) for panel in (streams, finished, estimated, tools))


def _asked_for() -> Panel:
    asked = total(rate("modeltap.usage.requests", TARGET), "outcome")
    place = "Streams whose usage was asked for in the client's place, per second: asked, hidden, or why not."
    return empty(timeseries("Usage asked for", place, "short", Query(asked, "{{outcome}}")), NONE)


def newer() -> Sequence[Panel]:
    """The same tokens in the conventions' form to come, for those who opted in."""
    kinds = ("input_tokens", "output_tokens", "cache_read.input_tokens", "reasoning.output_tokens")
    usage = [Query(total(rate(f"{_INFERENCE}.usage.{kind}", NAMED)), kind) for kind in kinds]
    each = [
        Query(quantile(0.5, f"{_INFERENCE}.operation.{side}_tokens", NAMED), f"{side} p50")
        for side in ("input", "output")
    ]
    return (
        empty(timeseries("Token usage (newer form)", "Tokens per second.", "short", *usage), NEWER),
        empty(timeseries("Tokens per exchange (newer form)", "Medians.", "short", *each), NEWER),
    )
