"""report.py: copies of series as samples that the catalogue knows."""

import numpy as np
import pytest

from exporter.analysis.engine import Engine
from exporter.analysis.known import Known
from exporter.analysis.window_report import gauges, window_name
from exporter.records.catalogue import metric
from exporter.records.sample import Histogram
from exporter.stats.profiles.build import Column as Data
from exporter.stats.profiles.build import ProfileConfig, build
from tests.analysis.world import BOUNDS, NOW, feed, found, numbers, profile, v2


def healthy(count: int) -> list[object]:
    rows = [("rome", 0), ("oslo", 1), ("", 2)]
    return [
        v2({"age": [40.0 + n % 7], "city": [rows[n % 3][0]]}, {"label": [rows[n % 3][1]]})
        for n in range(count)
    ]


def engine(reference: bool = True) -> Engine:
    return Engine([profile("iris", "1")] if reference else [], Known(windows=(300.0, 3600.0)), BOUNDS, NOW)


@pytest.mark.parametrize("reference", [True, False])
def test_every_sample_is_in_the_catalogue_once(reference: bool) -> None:
    """Names, number of labels and kinds are the catalogue's; no series comes twice."""
    made = engine(reference)
    feed(made, healthy(300))
    samples = [*made.snapshot().samples(), *gauges(made.windows(NOW))]
    assert len({(sample.name, sample.labels) for sample in samples}) == len(samples)
    for sample in samples:
        row = metric(sample.name)
        assert len(row.labels) == len(sample.labels)
        assert isinstance(sample.value, Histogram) == (row.kind == "histogram")
        assert (sample.created > 0) == (row.kind in ("counter", "histogram"))


def test_empty_category_is_written() -> None:
    """The empty text has a label value in counts, bins and reference, so that it is no missing label."""
    made = engine()
    feed(made, healthy(3))
    samples = list(made.snapshot().samples())
    for family in ("model.feature.bin", "model.reference.bin.rows"):
        cells = {labels[-2] for labels in found(samples, family) if "city" in labels}
        assert "<empty>" in cells
        assert "" not in cells


def test_drift_is_absent_until_there_are_rows_enough() -> None:
    """Without rows the state is insufficient and there is no drift; with them both windows have it."""
    made = engine()
    assert found(gauges(made.windows(NOW)), "model.drift") == {}
    feed(made, healthy(600))
    samples = gauges(made.windows(NOW))
    drift = found(samples, "model.drift")
    assert ("iris", "1", "label", "", "5m", "psi", profile("iris", "1").reference, "live") in drift
    assert set(found(samples, "model.drift.noise_floor")) == set(drift)
    assert found(samples, "model.window.state")["iris", "1", "label", "", "1h", "ready", "live"] == 1
    assert found(samples, "model.window.rows")["iris", "1", "", "age", "5m", "live"] == 600


def test_window_empties_and_totals_stay() -> None:
    """Rows leave the rolling window in time; the counters never go back."""
    made = engine()
    feed(made, healthy(30))
    later = gauges(made.windows(NOW + 400))
    assert found(later, "model.window.rows")["iris", "1", "", "age", "5m", "live"] == 0
    assert found(later, "model.window.rows")["iris", "1", "", "age", "1h", "live"] == 30
    assert sum(found(made.snapshot().samples(), "model.prediction.bin").values()) == 30


def test_values_of_predictions_have_a_sum_only_while_it_rises() -> None:
    """Bins from 0 up have a sum until the first negative value; signed bins have none, as OpenMetrics demands."""
    rng = np.random.default_rng(1)
    reference = build({"y": Data(rng.uniform(0.1, 1.0, 500), "prediction")}, ProfileConfig("iris", "1"))
    made = Engine([reference], Known(windows=(300.0,)), BOUNDS, NOW)
    labels = ("iris", "1", "y", reference.reference, "live")
    sums = []
    for value in (0.5, -0.5, 9.5):
        feed(made, [v2({"x": [1.0]}, {"y": [value]})])
        histogram = found(made.snapshot().samples(), "model.prediction.value")[labels]
        sums.append((histogram.sum, histogram.count))
    assert sums == [(0.5, 1), (None, 2), (None, 3)]
    signed = engine(reference=False)
    feed(signed, [v2({"x": [1.0]}, {"y": [0.5]})])
    assert (
        found(signed.snapshot().samples(), "model.prediction.value")["iris", "1", "y", "", "live"].sum is None
    )


def test_counters_only_rise() -> None:
    """Whatever comes in, no counter and no cumulative bucket of a later copy is below an earlier one."""
    made = engine()
    seen: dict[tuple[str, tuple[str, ...]], tuple[float, ...]] = {}
    for step, one in enumerate(healthy(60)):
        feed(made, [one], NOW + step)
        for sample in made.snapshot().samples():
            if metric(sample.name).kind in ("counter", "histogram"):
                now, before = numbers(sample), seen.get((sample.name, sample.labels))
                assert before is None or all(a >= b for a, b in zip(now, before, strict=True))
                seen[sample.name, sample.labels] = now


@pytest.mark.parametrize(
    ("seconds", "name"),
    [
        *((300.0, "5m"), (3600.0, "1h"), (86400.0, "24h"), (604800.0, "7d"), (7200.0, "2h")),
        *((60.0, "1m"), (90.0, "90s"), (0.5, "0.5s")),
    ],
)
def test_names_of_windows(seconds: float, name: str) -> None:
    """Windows are named as people name them."""
    assert window_name(seconds) == name


def test_moments_and_signed_sums() -> None:
    """Gauges of a window are numpy's; sums are two that never fall; a constant has no skewness."""
    made = engine()
    cells = [-2.0, 1.0, 4.0, 30.0]
    feed(made, [v2({"age": cells, "city": ["rome"] * 4}, {"label": [1] * 4})])
    samples = gauges(made.windows(NOW))
    label = ("iris", "1", "", "age", "5m", "live")
    expected = {"mean": np.mean(cells), "variance": np.var(cells), "standard_deviation": np.std(cells)}
    expected |= {"numbers": 4, "minimum": -2.0, "maximum": 30.0, "range": 32.0}
    expected["skewness"] = np.mean((np.array(cells) - np.mean(cells)) ** 3) / np.std(cells) ** 3
    for word, value in expected.items():
        assert found(samples, f"model.window.{word}")[label] == pytest.approx(value)
    assert ("iris", "1", "label", "", "5m", "live") not in found(samples, "model.window.skewness")
    counters = list(made.snapshot().samples())
    place = ("iris", "1", "", "age", profile("iris", "1").reference, "live")
    assert found(counters, "model.column.positive_sum")[place] == 35.0
    assert found(counters, "model.column.negative_sum")[place] == 2.0


def test_predictions_keep_base_two_buckets() -> None:
    """As many values as the classic buckets hold, signed ones too; there from the start, and empty then."""
    made = Engine([profile("iris", "1")], Known(windows=(300.0,)), BOUNDS, NOW)

    def value() -> Histogram:
        (found,) = [one.value for one in made.snapshot(NOW).samples() if one.name == "model.prediction.value"]
        assert isinstance(found, Histogram)
        return found

    empty = value().exponential
    assert empty is not None
    assert (empty.zero_count, empty.positive, empty.negative) == (0, (), ())
    predictions = [0.0, 1.0, 2.0, -4.0, 3.5]
    feed(made, [v2({"age": [40.0] * 5, "city": ["rome"] * 5}, {"label": predictions})])
    found = value()
    base2 = found.exponential
    assert base2 is not None
    assert base2.zero_count + sum(base2.positive) + sum(base2.negative) == found.count == 5
    assert (base2.scale, base2.positive_offset, base2.positive[0]) == (3, -1, 1)
    assert (base2.negative_offset, base2.negative) == (15, (1,))
