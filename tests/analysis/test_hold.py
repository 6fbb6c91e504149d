"""hold.py: a new series shows 0 for one scrape, and nothing ever goes back."""

import numpy as np
import pytest

from exporter.analysis.hold import Hold, held, zeroed
from exporter.analysis.traffic import Traffic
from exporter.records import totals
from exporter.records.sample import Exemplar, Exponential, Histogram, Sample
from exporter.records.totals import Writer
from tests.analysis.world import LABELS, NOW, bump, layout, numbers

CLASS = Sample("model.predictions", ("iris", "1", "label", "a"), 5, NOW)


def shown(hold: Hold, now: float, *samples: Sample) -> list[object]:
    return [sample.value for sample in hold.apply(samples, now)]


def test_new_series_shows_zero_once() -> None:
    """The first scrape sees 0, every later one the count."""
    hold = Hold(15.0)
    assert [shown(hold, NOW + n, CLASS) for n in range(3)] == [[0], [5], [5]]


def test_old_series_is_not_held() -> None:
    """A series that waited longer than the bound for its first scrape is shown as it is."""
    hold = Hold(15.0)
    hold.notice([CLASS], NOW)
    hold.notice([CLASS], NOW + 10)
    assert shown(hold, NOW + 15.0, CLASS) == [5]
    young = Hold(15.0)
    young.notice([CLASS], NOW)
    assert shown(young, NOW + 14.9, CLASS) == [0]


def test_zero_seconds_switch_holding_off() -> None:
    """With 0 every series is shown as it is."""
    hold = Hold(0.0)
    hold.notice([CLASS], NOW)
    assert shown(hold, NOW, CLASS) == [5]


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("model.request.errors", (*LABELS, "5xx"), False),
        ("model.request.duration", (*LABELS, "200"), True),
        ("model.request.duration", (*LABELS, "404"), False),
        ("model.request.duration", (*LABELS, "none"), False),
        ("model.exchanges.decoded", ("iris", "v2", "decoded"), True),
        ("model.exchanges.decoded", ("iris", "v2", "not_json"), False),
        ("modeltap.records.dropped", ("sampled",), False),
        ("model.window.rows", ("iris", "1", "", "x", "5m"), False),
        ("model.info", ("iris", "1", "", "", "none"), False),
    ],
)
def test_what_counts_errors_is_never_held(name: str, labels: tuple[str, ...], expected: bool) -> None:
    """Error counters, gauges and the sidecar's own counters show at once."""
    assert held(Sample(name, labels, 1, NOW)) is expected


def test_released_series_are_never_held() -> None:
    """What may have been exported before shows its count at once, for 0 would be a step back."""
    hold = Hold(15.0)
    hold.release([CLASS])
    assert shown(hold, NOW, CLASS) == [5]


def test_retired_series_is_new_when_it_comes_back() -> None:
    """Forgotten series are held again."""
    hold = Hold(15.0)
    shown(hold, NOW, CLASS)
    hold.keep([])
    assert shown(hold, NOW + 1, CLASS) == [0]


def test_held_histogram_has_no_exemplar() -> None:
    """All buckets are empty, the sum is 0 or absent as before, and no exemplar stands in an empty bucket."""
    exemplar = Exemplar("0" * 31 + "1", "0" * 15 + "1", 0.5, NOW)
    value = Histogram((1.0,), (2, 1), 3.5, Exponential(3, 0, 0.0, -8, (1, 2)), (exemplar, None))
    empty = zeroed(Sample("model.request.duration", (*LABELS, "200"), value, NOW)).value
    assert isinstance(empty, Histogram)
    assert (empty.counts, empty.sum, empty.exemplars, empty.bounds) == ((0, 0), 0.0, (), (1.0,))
    assert empty.exponential is not None
    assert empty.exponential.positive == ()
    unsummed = zeroed(Sample("model.prediction.value", ("m", "1", "y", ""), Histogram((1.0,), (1, 1), None)))
    assert isinstance(unsummed.value, Histogram)
    assert unsummed.value.sum is None


@pytest.mark.parametrize("seed", range(3))
def test_no_exported_number_goes_back_over_a_restart(seed: int) -> None:
    """Over hundreds of scrapes with new label sets in between and the analysis restarted twice."""
    rng = np.random.default_rng(seed)
    fd = totals.create(layout())
    writer = Writer(fd, layout())
    seen: dict[tuple[str, tuple[str, ...]], tuple[float, ...]] = {}
    traffic, hold = Traffic([fd], layout()), Hold(15.0)
    for scrape in range(300):
        now = NOW + scrape * 5.0
        for _ in range(int(rng.integers(4))):
            labels = ("iris", str(rng.integers(3)), "predict", "v2", str(rng.choice([200, 201, 400, 503])))
            bump(writer, labels, int(rng.integers(10**9)), "5xx" if labels[-1] == "503" else "")
        if scrape in (100, 200):
            traffic, hold = Traffic([fd], layout()), Hold(15.0)
            hold.release(traffic.samples({}))
        if rng.random() < 0.5:
            hold.notice(traffic.samples({}), now)
        for sample in hold.apply(traffic.samples({}), now):
            if sample.created or isinstance(sample.value, Histogram):
                after, before = numbers(sample), seen.get((sample.name, sample.labels))
                assert before is None or all(a >= b for a, b in zip(after, before, strict=True)), sample
                seen[sample.name, sample.labels] = after
    assert len({labels for name, labels in seen if name == "model.request.duration"}) == 12
