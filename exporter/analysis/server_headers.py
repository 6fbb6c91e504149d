"""What a model server tells of an answer in the answer's own head: times of TGI and TEI, load reports in ORCA's form.

Total and bounded: any head gives readings or a counted refusal; so many models, what is over counts under `<other>`.
Only a 2xx answer is read, for only that confirms a model's name. What is no server's of these is not guessed at: a time
counts only beside `x-inference-time` or `x-compute-type`, which nobody else sends.

Load reports: the text and JSON forms of xDS' ORCA, as Triton and vLLM write them (`endpoint-load-metrics: TEXT
named_metrics.kv_cache_utilization=0.4`), if the request asked for them. Gauges of the last report, shown for a minute.
"""

import json
import math
import re
from bisect import bisect_left
from collections.abc import Iterator

from exporter.records.exchange import OTHER, UNKNOWN, Exchange
from exporter.records.sample import Histogram, Sample

MAX_MODELS = 32
MAX_REPORT = 4096  # bytes of a load report
STALE_SECONDS = 60.0
_MOST_MILLISECONDS = 86_400_000.0
_MOST_TOKENS = 1e9
_FIELD = re.compile(
    rb"(?i)\r\n(x-[a-z]++-time|x-time-per-token|x-prompt-tokens|x-generated-tokens|x-compute-type"
    rb"|endpoint-load-metrics):[ \t]*+([^\r\n]*+)"
)
# A head without these has none of the fields; most have not, and this is far cheaper than the pattern.
_TIME_HINT, _LOAD_HINT = b"-time", b"load-metrics"
_PHASES = {
    b"x-validation-time": "validation",
    b"x-tokenization-time": "tokenization",
    b"x-queue-time": "queue",
    b"x-inference-time": "inference",
    b"x-total-time": "total",
}
_TOKENS = {b"x-prompt-tokens": "input", b"x-generated-tokens": "output"}
# What a report calls it -> family, and the value of a third label.
_REPORTED: dict[str, tuple[str, tuple[str, ...]]] = {
    "cpu_utilization": ("model.server.utilization", ("cpu",)),
    "mem_utilization": ("model.server.utilization", ("memory",)),
    "application_utilization": ("model.server.utilization", ("application",)),
    "named_metrics.kv_cache_utilization": ("model.server.kv_cache.usage", ()),  # Triton
    "named_metrics.kv_cache_usage_perc": ("model.server.kv_cache.usage", ()),  # vLLM
    "named_metrics.num_requests_running": ("model.server.requests.running", ()),
    "named_metrics.num_requests_waiting": ("model.server.requests.waiting", ()),
    "named_metrics.max_token_capacity": ("model.server.token.capacity", ()),
}
_OUTCOMES = ("read", "malformed", "unsupported")


class ServerHeaders:
    """`add` and `samples` in one thread; `bounds` are those of the latency histograms."""

    def __init__(self, bounds: tuple[float, ...], created: float) -> None:
        self._bounds = bounds
        self._created = created
        self._models: set[str] = set()
        self._times: dict[tuple[str, tuple[str, ...]], _Times] = {}
        self._tokens: dict[tuple[str, ...], float] = {}
        self._reports: dict[tuple[str, tuple[str, ...]], tuple[float, float]] = {}
        self._outcomes = dict.fromkeys(_OUTCOMES, 0)

    def add(self, exchange: Exchange, now: float) -> None:
        """Read the head of an answer; raises nothing."""
        if not 200 <= exchange.status < 300:
            return
        lowered = exchange.response_head.lower()
        # Asked of every exchange: a loop costs three times as much, and `in` twice what `find` does.
        if lowered.find(_TIME_HINT) < 0 and lowered.find(_LOAD_HINT) < 0:
            return
        fields = {name.lower(): value.strip() for name, value in _FIELD.findall(exchange.response_head)}
        report = fields.pop(b"endpoint-load-metrics", None)
        if report is not None:
            self._report(report, self._model(exchange), now)
        if b"x-inference-time" in fields or b"x-compute-type" in fields:
            source = "tei" if b"x-tokenization-time" in fields else "tgi"
            self._timings(fields, (self._model(exchange), source))

    def samples(self, now: float) -> Iterator[Sample]:
        """All of them, families together but for those of reports; reports of the last minute."""
        for (family, labels), times in self._times.items():
            yield Sample(family, labels, times.histogram(self._bounds), self._created)
        for labels, count in self._tokens.items():
            yield Sample("model.server.tokens", labels, count, self._created)
        for (family, labels), (value, at) in self._reports.items():
            if now - at <= STALE_SECONDS:
                yield Sample(family, labels, value)
        for outcome, count in self._outcomes.items():
            yield Sample("modeltap.server.headers", (outcome,), count, self._created)

    def _model(self, exchange: Exchange) -> str:
        name = exchange.model_name or UNKNOWN
        if name not in self._models:
            if len(self._models) >= MAX_MODELS:
                return OTHER
            self._models.add(name)
        return name

    def _timings(self, fields: dict[bytes, bytes], labels: tuple[str, str]) -> None:
        for name, phase in _PHASES.items():
            self._time(fields.get(name), "model.server.phase.duration", (*labels, phase))
        self._time(fields.get(b"x-time-per-token"), "model.server.time_per_token", labels)
        for name, kind in _TOKENS.items():
            count = self._number(fields.get(name), _MOST_TOKENS)
            if count is not None:
                key = (*labels, kind)
                self._tokens[key] = self._tokens.get(key, 0) + count

    def _time(self, text: bytes | None, family: str, labels: tuple[str, ...]) -> None:
        milliseconds = self._number(text, _MOST_MILLISECONDS)
        if milliseconds is not None:
            key = family, labels
            if key not in self._times:
                self._times[key] = _Times(len(self._bounds) + 1)
            seconds = milliseconds / 1000
            self._times[key].add(bisect_left(self._bounds, seconds), seconds)

    def _number(self, text: bytes | None, most: float) -> float | None:
        if text is None:
            return None
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        usable = 0 <= found <= most
        self._outcomes["read" if usable else "malformed"] += 1
        return found if usable else None

    def _report(self, value: bytes, model: str, now: float) -> None:
        try:
            found = _parsed(value)
        except (ValueError, RecursionError):
            self._outcomes["malformed"] += 1
            return
        if found is None:
            self._outcomes["unsupported"] += 1
            return
        self._outcomes["read"] += 1
        for name, number in found.items():
            if name in _REPORTED:
                family, more = _REPORTED[name]
                self._reports[family, (model, "orca", *more)] = number, now


class _Times:
    """One histogram of seconds."""

    def __init__(self, width: int) -> None:
        self._counts = [0] * width
        self._sum = 0.0

    def add(self, place: int, seconds: float) -> None:
        self._counts[place] += 1
        self._sum += seconds

    def histogram(self, bounds: tuple[float, ...]) -> Histogram:
        return Histogram(bounds, tuple(self._counts), self._sum)


def _parsed(value: bytes) -> dict[str, float] | None:
    """The numbers of a load report by name; ValueError for what is none, None for its binary form."""
    if len(value) > MAX_REPORT:
        raise ValueError(f"expected at most {MAX_REPORT} bytes")
    form, _, rest = value.decode("ascii").partition(" ")
    if form.upper() == "BIN":
        return None
    if form.upper() == "JSON":
        return _of_json(rest)
    # Some leave the word out.
    return _of_text(rest if form.upper() == "TEXT" else value.decode("ascii"))


def _of_text(text: str) -> dict[str, float]:
    found = {}
    for item in text.split(","):
        name, mark, number = item.replace(":", "=", 1).partition("=")
        if not mark:
            raise ValueError("expected NAME=NUMBER")
        found[name.strip()] = _usable(float(number))
    return found


def _of_json(text: str) -> dict[str, float]:
    # Whole numbers as floats: a long one would cost quadratic time.
    report = json.loads(text, parse_int=float)
    if not isinstance(report, dict):
        raise ValueError("expected an object")
    named = report.get("named_metrics", {})
    if not isinstance(named, dict):
        raise ValueError("expected an object in named_metrics")
    flat = {**report, **{f"named_metrics.{name}": number for name, number in named.items()}}
    return {name: _usable(number) for name, number in flat.items() if name in _REPORTED}


def _usable(number: object) -> float:
    if not isinstance(number, float) or not 0 <= number < math.inf:
        raise ValueError("expected a number that is not negative")
    return number
