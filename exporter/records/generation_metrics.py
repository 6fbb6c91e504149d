"""The catalogue's rows about generative models: the conventions' own (OpenTelemetry 1.41.1), and ours beside them.

Label keys are the conventions' attributes with underscores, as Prometheus writes them; over OTLP they have their dots.
Token counts exist in the form of that release, and in the one that is to come (`newer`); never in both at once.
"""

from exporter.records.metric import Metric

# As the conventions give them.
DURATION_BUCKETS = (
    *(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64),
    *(1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
)
FIRST_TOKEN_BUCKETS = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25),
    *(0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
EACH_TOKEN_BUCKETS = (*(0.01, 0.025, 0.05, 0.075, 0.1, 0.15), *(0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5))
TOKEN_BUCKETS = tuple(float(4**power) for power in range(14))
RATE_BUCKETS = (
    *(1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0),
    *(75.0, 100.0, 150.0, 200.0, 300.0, 500.0, 1000.0, 2000.0, 5000.0),
)

_CONVENTION = (
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "gen_ai_response_model",
)
_MODEL = ("model_name", "model_version", "gen_ai_operation_name")

GENERATION: tuple[Metric, ...] = (
    # --- generative models: what decoded exchanges tell; times are the data plane's
    Metric(
        "gen_ai.server.request.duration",
        "histogram",
        "s",
        (*_CONVENTION, "error_type"),
        "Time from the complete request head to the last byte of the answer; error_type is absent for success.",
        buckets=DURATION_BUCKETS,
    ),
    Metric(
        "gen_ai.server.time_to_first_token",
        "histogram",
        "s",
        _CONVENTION,
        "Time from the complete request head to the first chunk with content of a streamed answer that is whole.",
        buckets=FIRST_TOKEN_BUCKETS,
    ),
    Metric(
        "gen_ai.server.time_per_output_token",
        "histogram",
        "s",
        _CONVENTION,
        "Time per token after the first, from the first to the last chunk with content; once per whole answer.",
        buckets=EACH_TOKEN_BUCKETS,
    ),
    Metric(
        "gen_ai.client.token.usage",
        "histogram",
        "{token}",
        (*_CONVENTION, "gen_ai_token_type"),
        "Tokens per exchange as the server told them, by type (input, output); the form of conventions 1.41.",
        buckets=TOKEN_BUCKETS,
    ),
    Metric(
        "gen_ai.client.inference.usage.input_tokens",
        "counter",
        "{token}",
        _CONVENTION,
        "Input tokens, cached ones included; the form of the conventions to come, by opt-in.",
    ),
    Metric(
        "gen_ai.client.inference.usage.output_tokens",
        "counter",
        "{token}",
        _CONVENTION,
        "Output tokens, reasoning included; the form of the conventions to come, by opt-in.",
    ),
    Metric(
        "gen_ai.client.inference.usage.cache_read.input_tokens",
        "counter",
        "{token}",
        _CONVENTION,
        "Input tokens that the server took from its cache; the form of the conventions to come, by opt-in.",
    ),
    Metric(
        "gen_ai.client.inference.usage.reasoning.output_tokens",
        "counter",
        "{token}",
        _CONVENTION,
        "Output tokens spent on reasoning; the form of the conventions to come, by opt-in.",
    ),
    Metric(
        "gen_ai.client.inference.operation.input_tokens",
        "histogram",
        "{token}",
        _CONVENTION,
        "Input tokens per exchange; the form of the conventions to come, by opt-in.",
        buckets=TOKEN_BUCKETS,
    ),
    Metric(
        "gen_ai.client.inference.operation.output_tokens",
        "histogram",
        "{token}",
        _CONVENTION,
        "Output tokens per exchange; the form of the conventions to come, by opt-in.",
        buckets=TOKEN_BUCKETS,
    ),
    Metric(
        "model.generation.tokens",
        "counter",
        "{token}",
        (*_MODEL, "gen_ai_token_type", "source"),
        "Tokens by type (input, output, cached_input, reasoning_output); source is server (told) or estimate (chunks).",
    ),
    Metric(
        "model.generation.rate",
        "histogram",
        "{token}/s",
        _MODEL,
        "Output tokens per second between the first and the last chunk with content of a whole streamed answer.",
        buckets=RATE_BUCKETS,
    ),
    Metric(
        "model.generation.prompt.size",
        "histogram",
        "{character}",
        _MODEL,
        "Characters of text per prompt, messages and instructions added up; absent where it is given as tokens.",
        buckets=TOKEN_BUCKETS,
    ),
    Metric(
        "model.generation.completion.size",
        "histogram",
        "{character}",
        _MODEL,
        "Characters of text per whole answer, choices added up.",
        buckets=TOKEN_BUCKETS,
    ),
    Metric(
        "model.generation.finished",
        "counter",
        "{choice}",
        (*_MODEL, "reason"),
        "Choices that ended, by the finish reason that the server told; unknown ones under `<other>`.",
    ),
    Metric(
        "model.generation.tool_calls",
        "counter",
        "{call}",
        _MODEL,
        "Calls of tools that answers asked for.",
    ),
    Metric(
        "model.generation.streams",
        "counter",
        "{stream}",
        (*_MODEL, "outcome"),
        "Streamed answers: whole, aborted by the client, failed (an error after 200), or broken off by the server.",
    ),
    Metric(
        "model.generation.estimated",
        "counter",
        "{stream}",
        _MODEL,
        "Streamed answers without usage, whose output tokens are a count of chunks; of model.generation.streams.",
    ),
    Metric(
        "modeltap.usage.requests",
        "counter",
        "{request}",
        ("outcome",),
        "Streams whose usage was asked for in the client's place: asked, hidden from the client, or why not.",
    ),
)
