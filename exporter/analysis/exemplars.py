"""The last sampled exchange per bucket of the duration histogram. Bounded; knows no histogram, only its bounds."""

from bisect import bisect_left

from exporter.records.exchange import NO_CODE, UNKNOWN, Exchange
from exporter.records.sample import Exemplar

MAX_LABEL_SETS = 256
Found = dict[tuple[str, ...], dict[int, Exemplar]]


class Exemplars:
    """`bounds` in seconds, as the data plane counts with."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        # In nanoseconds, as the data plane compares: the exemplar lies in the bucket that counted it.
        self._bounds = tuple(round(bound * 1e9) for bound in bounds)
        self._found: Found = {}

    def add(self, exchange: Exchange) -> None:
        """A sampled exchange takes the place of the one before it; one without a trace changes nothing."""
        if exchange.trace is None:
            return
        code = str(exchange.status) if exchange.status else NO_CODE
        model = (exchange.model_name, exchange.model_version)
        labels = (*model, exchange.operation, exchange.protocol or UNKNOWN, code)
        buckets = self._found.get(labels)
        if buckets is None:
            if len(self._found) >= MAX_LABEL_SETS:
                return
            buckets = self._found[labels] = {}
        buckets[bisect_left(self._bounds, exchange.duration)] = Exemplar(
            exchange.trace.trace_id,
            exchange.trace.span_id,
            exchange.duration / 1e9,
            (exchange.start + exchange.duration) / 1e9,
        )

    def copy(self) -> Found:
        """By label values of the duration histogram, then by bucket."""
        return {labels: dict(buckets) for labels, buckets in self._found.items()}
