"""traffic.py: shared totals as samples."""

from exporter.analysis.traffic import Traffic
from exporter.records import totals
from exporter.records.catalogue import metric
from exporter.records.exchange import ERROR_TYPES
from exporter.records.sample import Exemplar, Histogram
from exporter.records.totals import Writer
from tests.analysis.world import LABELS, NOW, bump, found, layout

EXEMPLAR = Exemplar("0" * 31 + "1", "0" * 15 + "1", 0.002, NOW)


def two_workers() -> tuple[list[Writer], Traffic]:
    fds = [totals.create(layout()) for _ in range(2)]
    writers = [Writer(fd, layout()) for fd in fds]
    for offset, writer in enumerate(writers):
        writer.set("started", int((NOW + offset) * 1e9))
    writers[0].set("admission_limit", 4)
    return writers, Traffic(fds, layout())


def test_workers_are_summed() -> None:
    """Counts of all workers add up, label set by label set; the start is that of the first."""
    (a, b), traffic = two_workers()
    bump(a, LABELS, 2_000_000)
    bump(b, LABELS, 2_000_000)
    bump(b, (*LABELS, "500"), 500_000_000, "5xx")
    samples = list(traffic.samples({}))
    durations = found(samples, "model.request.duration")
    assert durations[*LABELS, "200"].counts == (0, 2, 0, 0)
    assert durations[*LABELS, "500"].counts == (0, 0, 0, 1)
    assert durations[*LABELS, "200"].sum == 0.004
    assert found(samples, "model.request.time_to_first_byte")[LABELS].counts == (0, 2, 0, 1)
    assert found(samples, "model.request.size")[LABELS].count == 3
    errors = found(samples, "model.request.errors")
    assert {labels[-1] for labels in errors} == set(ERROR_TYPES)
    assert errors[*LABELS, "5xx"] == 1
    assert {sample.created for sample in samples if metric(sample.name).kind != "gauge"} == {NOW}


def test_exponential_buckets_count_the_same_exchanges() -> None:
    """Both bucket arrays of a histogram have the same count."""
    (a, _), traffic = two_workers()
    for nanoseconds in (1, 1000, 10**6, 10**9, 10**14):
        bump(a, LABELS, nanoseconds)
    value = found(traffic.samples({}), "model.request.duration")[*LABELS, "200"]
    assert sum(value.exponential.positive) == value.count == 5


def test_exemplars_stand_in_their_buckets_and_never_in_an_empty_one() -> None:
    """An exemplar of a bucket without a count is left out; other families have none."""
    (a, _), traffic = two_workers()
    bump(a, LABELS, 2_000_000)
    samples = list(traffic.samples({(*LABELS, "200"): {1: EXEMPLAR, 3: EXEMPLAR}}))
    assert found(samples, "model.request.duration")[*LABELS, "200"].exemplars == (None, EXEMPLAR, None, None)
    assert found(samples, "model.request.time_to_first_byte")[LABELS].exemplars == ()


def test_families_come_together_and_fit_the_catalogue() -> None:
    """Each family is one run of samples with the catalogue's labels and kind."""
    (a, _), traffic = two_workers()
    bump(a, LABELS, 1)
    a.slots[a.block(("iris", "predict", "v2")) + layout().block_slots - 1] = 3
    samples = list(traffic.samples({}))
    runs = [s.name for at, s in enumerate(samples) if at == 0 or samples[at - 1].name != s.name]
    assert sorted(runs) == sorted(set(runs))
    for sample in samples:
        assert len(metric(sample.name).labels) == len(sample.labels)
        assert isinstance(sample.value, Histogram) == (metric(sample.name).kind == "histogram")
    assert found(samples, "model.requests.in_flight") == {("iris", "predict", "v2"): 3}


def test_queue_families_exist_only_with_a_limit() -> None:
    """Without an admission limit neither queue length nor queue wait is shown."""
    fd = totals.create(layout())
    writer = Writer(fd, layout())
    bump(writer, LABELS, 1)
    names = {sample.name for sample in Traffic([fd], layout()).samples({})}
    assert not {"model.queue.length", "model.queue.wait"} & names
    writer.set("admission_limit", 1)
    limited = {sample.name for sample in Traffic([fd], layout()).samples({})}
    assert {"model.queue.length", "model.queue.wait"} <= limited


def test_shape_changes_with_a_label_set() -> None:
    """It changes when a label set is added, not when counts move."""
    (a, _), traffic = two_workers()
    shapes = []
    for code in ("200", "200", "404"):
        bump(a, (*LABELS, code), 1)
        shapes.append(traffic.shape)
    assert shapes[0] == shapes[1] != shapes[2]


def test_dead_worker_in_flight_is_gone_and_its_counts_stay() -> None:
    """A worker that starts again clears what was in flight; nothing counted goes back."""
    fd = totals.create(layout())
    writer = Writer(fd, layout())
    bump(writer, LABELS, 1)
    writer.slots[writer.block(("iris", "predict", "v2")) + layout().block_slots - 1] = 3
    traffic = Traffic([fd], layout())
    Writer(fd, layout())
    samples = list(traffic.samples({}))
    assert found(samples, "model.requests.in_flight") == {("iris", "predict", "v2"): 0}
    assert found(samples, "model.request.duration")[*LABELS, "200"].count == 1


def test_bytes_of_bodies() -> None:
    """Both ways and over workers; those too large to be kept are told apart."""
    (a, b), traffic = two_workers()
    assert traffic.body_bytes() == (0, 0)
    bump(a, LABELS, 1)
    bump(b, (*LABELS, "500"), 1)
    assert traffic.body_bytes() == (400, 0)
