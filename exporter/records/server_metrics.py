"""The catalogue's rows of the model server's own signals: `source` is the server whose metrics or headers told them."""

from exporter.records.metric import LATENCY_BUCKETS, Metric

_SERVER = ("model_name", "source")

SERVER: tuple[Metric, ...] = (
    Metric(
        "model.server.requests.running", "gauge", "{request}", _SERVER, "Requests that the server works on."
    ),
    Metric("model.server.requests.waiting", "gauge", "{request}", _SERVER, "Requests in the server's queue."),
    Metric(
        "model.server.requests",
        "counter",
        "{request}",
        _SERVER,
        "Requests that the server counts as done, as it tells them.",
    ),
    Metric(
        "model.server.queue.time",
        "counter",
        "s",
        _SERVER,
        "Time that requests spent in the server's queue, all added up.",
    ),
    Metric(
        "model.server.compute.time",
        "counter",
        "s",
        _SERVER,
        "Time that the server spent on inference, all requests added up.",
    ),
    Metric(
        "model.server.kv_cache.usage",
        "gauge",
        "1",
        _SERVER,
        "Share of the KV cache in use, of the fullest engine; 1 is full.",
    ),
    Metric(
        "model.server.prefix_cache.queries",
        "counter",
        "{token}",
        _SERVER,
        "Tokens looked up in the prefix cache.",
    ),
    Metric(
        "model.server.prefix_cache.hits", "counter", "{token}", _SERVER, "Tokens found in the prefix cache."
    ),
    Metric(
        "model.server.prefix_cache.hit_ratio",
        "gauge",
        "1",
        _SERVER,
        "Share of tokens found in the prefix cache, from servers that tell no counts.",
    ),
    Metric(
        "model.server.preemptions",
        "counter",
        "{request}",
        _SERVER,
        "Requests put back into the queue because the KV cache was full.",
    ),
    Metric("model.server.batch.size", "gauge", "{request}", _SERVER, "Requests in the batch at work."),
    Metric(
        "model.server.inferences",
        "counter",
        "{inference}",
        _SERVER,
        "Inferences in executed batches; divided by the batches, the mean size of one.",
    ),
    Metric("model.server.batches", "counter", "{batch}", _SERVER, "Batches executed."),
    Metric(
        "model.server.phase.duration",
        "histogram",
        "s",
        (*_SERVER, "phase"),
        "Time per answer by phase (validation, tokenization, queue, inference, total), from the answer's own headers.",
        buckets=LATENCY_BUCKETS,
    ),
    Metric(
        "model.server.time_per_token",
        "histogram",
        "s",
        _SERVER,
        "Mean time per generated token of an answer, from the answer's own headers.",
        buckets=LATENCY_BUCKETS,
    ),
    Metric(
        "model.server.tokens",
        "counter",
        "{token}",
        (*_SERVER, "token_type"),
        "Tokens of answers (input, output), from the answers' own headers.",
    ),
    Metric(
        "model.server.utilization",
        "gauge",
        "1",
        (*_SERVER, "resource"),
        "Utilization (cpu, memory, application) that the last answer's load report told.",
    ),
    Metric("model.server.token.capacity", "gauge", "{token}", _SERVER, "Tokens that fit into the KV cache."),
)

# How they are read: the sidecar about itself.
SERVER_READING: tuple[Metric, ...] = (
    Metric(
        "modeltap.upstream.scrapes",
        "counter",
        "{scrape}",
        ("purpose", "outcome"),
        "Scrapes of the upstream's own metrics, for the signals or to merge them into a scrape, by outcome.",
    ),
    Metric(
        "modeltap.upstream.series",
        "gauge",
        "{series}",
        (),
        "Series of the upstream in the last merged scrape.",
    ),
    Metric(
        "modeltap.upstream.conflicts",
        "counter",
        "{conflict}",
        ("reason",),
        "What a merge could not take as it was: families renamed (name_clash), lines left out (duplicate).",
    ),
    Metric(
        "modeltap.server.headers",
        "counter",
        "{header}",
        ("outcome",),
        "Values that answers' own headers told: read, malformed, or unsupported (a binary load report).",
    ),
)
