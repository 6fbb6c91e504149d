"""The rows "Server" and "Server of the language model": what it tells of itself, by one set of names for all servers.

It knows no server. Invariant: a mean is divided by what is above zero, so that an idle server shows the empty text.
"""

from collections.abc import Sequence

from dashboards.panels import Panel, Query, empty, timeseries
from dashboards.queries import gauge, increase, quantile, rate, total
from dashboards.variables import MODEL, TARGET

SILENT = "The server does not tell"
_BY = ("model_name", "source")
_LEGEND = "{{model_name}} {{source}}"


def panels() -> Sequence[Panel]:
    """Of any server."""
    return tuple(empty(panel, SILENT) for panel in (*_load(), *_time(), *_reading()))


def generating() -> Sequence[Panel]:
    """Of servers of language models."""
    return tuple(empty(panel, SILENT) for panel in (*_cache(), *_answers()))


def _summed(name: str, word: str) -> Query:
    return Query(total(gauge(name, MODEL), *_BY), f"{_LEGEND} {word}")


def _load() -> Sequence[Panel]:
    batches = f"({total(rate('model.server.batches', MODEL), *_BY)} > 0)"
    mean = f"{total(rate('model.server.inferences', MODEL), *_BY)} / {batches}"
    now = f"max by (model_name, source) ({gauge('model.server.batch.size', MODEL)})"
    used = f"max by (model_name, resource) ({gauge('model.server.utilization', MODEL)})"
    return (
        timeseries(
            "Server queue",
            "Requests in the server's own queue, and those that it works on.",
            "short",
            _summed("model.server.requests.waiting", "waiting"),
            _summed("model.server.requests.running", "running"),
        ),
        timeseries(
            "Batch size",
            "Requests in the batch at work, or the mean of the batches executed.",
            "short",
            Query(now, f"{_LEGEND} now"),
            Query(mean, f"{_LEGEND} mean"),
        ),
        timeseries(
            "Load reports",
            "Utilization that the last load report told.",
            "percentunit",
            Query(used, "{{model_name}} {{resource}}"),
        ),
    )


def _time() -> Sequence[Panel]:
    done = f"({total(rate('model.server.requests', MODEL), *_BY)} > 0)"
    parts = (("queue", "model.server.queue.time"), ("inference", "model.server.compute.time"))
    means = [Query(f"{total(rate(name, MODEL), *_BY)} / {done}", f"{_LEGEND} {word}") for word, name in parts]
    text = "Mean time per request in the server's queue and in inference, as the server counts it."
    return (timeseries("Time in the server", text, "s", *means),)


def _cache() -> Sequence[Panel]:
    looked_up = f"({total(rate('model.server.prefix_cache.queries', MODEL), *_BY)} > 0)"
    hits = f"{total(rate('model.server.prefix_cache.hits', MODEL), *_BY)} / {looked_up}"
    told = f"max by (model_name, source) ({gauge('model.server.prefix_cache.hit_ratio', MODEL)})"
    full = f"max by (model_name, source) ({gauge('model.server.kv_cache.usage', MODEL)})"
    preempted = total(increase("model.server.preemptions", MODEL), *_BY)
    return (
        timeseries(
            "KV cache",
            "Share of the KV cache in use, of the fullest engine.",
            "percentunit",
            Query(full, _LEGEND),
        ),
        timeseries(
            "Prefix cache",
            "Share of tokens found in the prefix cache.",
            "percentunit",
            Query(hits, _LEGEND),
            Query(told, f"{_LEGEND} as told"),
        ),
        timeseries(
            "Preemptions",
            "Requests put back into the queue because the KV cache was full.",
            "short",
            Query(preempted, _LEGEND),
        ),
    )


def _answers() -> Sequence[Panel]:
    phases = total(rate("model.server.phase.duration", MODEL, "_bucket"), "phase", "le")
    tail = f"histogram_quantile(0.99, {phases}) >= 0"
    tokens = total(rate("model.server.tokens", MODEL), "model_name", "token_type")
    capacity = f"min by (model_name, source) ({gauge('model.server.token.capacity', MODEL)})"
    return (
        timeseries(
            "Phases of an answer",
            "p99 of each phase, from the answers' own headers.",
            "s",
            Query(tail, "{{phase}}"),
        ),
        timeseries(
            "Time per token",
            "p99 of the mean time per generated token of an answer.",
            "s",
            Query(quantile(0.99, "model.server.time_per_token", MODEL), "p99"),
        ),
        timeseries(
            "Tokens told",
            "Tokens per second, from the answers' own headers.",
            "short",
            Query(tokens, "{{model_name}} {{token_type}}"),
        ),
        timeseries(
            "KV cache capacity", "Tokens that fit into the KV cache.", "short", Query(capacity, _LEGEND)
        ),
    )


def _reading() -> Sequence[Panel]:
    scrapes = total(increase("modeltap.upstream.scrapes", TARGET), "purpose", "outcome")
    return (
        timeseries(
            "Scrapes of the server",
            "Scrapes of the server's own metrics by outcome.",
            "short",
            Query(scrapes, "{{purpose}} {{outcome}}"),
        ),
        timeseries(
            "Merged series",
            "Series of the server in the last merged scrape, and what a merge could not take as it was.",
            "short",
            Query(total(gauge("modeltap.upstream.series", TARGET)), "series"),
            Query(total(increase("modeltap.upstream.conflicts", TARGET), "reason"), "{{reason}}"),
        ),
        timeseries(
            "Headers of the server",
            "Values that answers' own headers told.",
            "short",
            Query(total(increase("modeltap.server.headers", TARGET), "outcome"), "{{outcome}}"),
        ),
    )
