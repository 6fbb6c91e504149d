"""Shared totals: exact, bounded, and outliving whoever writes or reads them."""

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.records import totals
from exporter.records.catalogue import LATENCY_BUCKETS
from exporter.records.exchange import OTHER
from exporter.records.totals import (
    EXPONENTIAL_OFFSET,
    EXPONENTIAL_SLOTS,
    LATENCY_FAMILIES,
    MAX_LABEL_SETS,
    REASONS,
    SCALARS,
    Layout,
    Reader,
    Writer,
    create,
    exponential_index,
)

LAYOUT = Layout((0.001, 0.1, 10.0))
LABELS = ("iris", "1", "predict", "open_inference_v2", "200")


@pytest.fixture
def fd() -> Iterator[int]:
    fd = create(LAYOUT)
    yield fd
    os.close(fd)


# ---------------------------------------------------------------- exponential buckets


def by_definition(nanoseconds: int) -> int:
    """The i for which 2^(i/8) < seconds <= 2^((i+1)/8), in integers only: no rounding."""
    eighth, unit = nanoseconds**8, 10**72

    def above(index: int) -> bool:
        return eighth << -index > unit if index < 0 else eighth > unit << index

    index = EXPONENTIAL_OFFSET
    while index < EXPONENTIAL_OFFSET + EXPONENTIAL_SLOTS - 1 and above(index + 1):
        index += 1
    return index - EXPONENTIAL_OFFSET


def test_exponential_index_at_every_bound() -> None:
    """A bound belongs to the bucket below it; one nanosecond more, to the one above. Exact for powers of two."""
    for index in range(EXPONENTIAL_OFFSET, EXPONENTIAL_OFFSET + EXPONENTIAL_SLOTS + 1):
        bound = int(2 ** (index / 8) * 1e9)
        for value in (bound - 1, bound, bound + 1):
            assert exponential_index(value) == by_definition(value), value
    for power in range(-9, 12):
        exact = 10**9 * 2**12 >> (12 - power)
        assert exponential_index(exact) + 1 == exponential_index(exact + 1) == (power + 20) * 8


@given(st.integers(1, 10**13))
def test_exponential_index_is_its_definition(nanoseconds: int) -> None:
    """Any duration falls where the definition says, what is out of range into the first or last bucket."""
    assert exponential_index(nanoseconds) == by_definition(nanoseconds)


def test_exponential_index_extremes() -> None:
    """Nothing, less than nothing, a nanosecond, an hour and a century have a bucket."""
    assert [exponential_index(value) for value in (-(10**20), -1, 0, 1, 953)] == [0] * 5
    assert exponential_index(3600 * 10**9) < EXPONENTIAL_SLOTS - 1
    assert exponential_index(4096 * 10**9) == exponential_index(10**19) == EXPONENTIAL_SLOTS - 1


# ---------------------------------------------------------------- writer and reader


def bump(writer: Writer, labels: tuple[str, ...], family: int, nanoseconds: int) -> None:
    """One latency, as the data plane counts it."""
    at = writer.block(labels) + family * LAYOUT.latency_slots
    bucket = sum(nanoseconds > bound * 1e9 for bound in LAYOUT.latency_bounds)
    writer.slots[at + bucket] += 1
    writer.slots[at + len(LAYOUT.latency_bounds) + 1 + exponential_index(nanoseconds)] += 1
    writer.slots[at + LAYOUT.latency_slots - 1] += nanoseconds


_EVENTS = st.tuples(
    st.tuples(*[st.sampled_from("abc")] * 5),
    st.integers(0, len(LATENCY_FAMILIES) - 1),
    st.integers(0, 10**11),
)


@settings(max_examples=40)
@given(st.lists(_EVENTS, max_size=60), st.integers(0, 60))
def test_sums_are_exact(events: list[tuple[tuple[str, ...], int, int]], restart: int) -> None:
    """Buckets and sums per label set equal a brute-force count, also across a new writer; readers see it live."""
    fd = create(LAYOUT)
    try:
        reader, writer = Reader(fd, LAYOUT), Writer(fd, LAYOUT)
        expected: dict[tuple[tuple[str, ...], int], list[int]] = defaultdict(list)
        for number, (labels, family, value) in enumerate(events):
            if number == restart:
                writer = Writer(fd, LAYOUT)
            bump(writer, labels, family, value)
            expected[labels, family].append(value)
        sets = reader.label_sets()
        assert set(sets) == {labels for labels, _ in expected}
        assert len(set(sets)) == len(sets)
        width = len(LAYOUT.latency_bounds) + 1
        for number, labels in enumerate(sets):
            for family in range(len(LATENCY_FAMILIES)):
                values = expected[labels, family]
                slots = reader.block(number)[family * LAYOUT.latency_slots :][: LAYOUT.latency_slots].tolist()
                edges = [0.0, *(bound * 1e9 for bound in LAYOUT.latency_bounds), float("inf")]
                assert slots[:width] == [
                    sum(low < value <= high or (low == 0 == value) for value in values)
                    for low, high in pairwise(edges)
                ]
                assert sum(slots[width:-1]) == len(values)
                assert slots[-1] == sum(values)
    finally:
        os.close(fd)


def test_a_new_memfd_is_all_zero(fd: int) -> None:
    """Nothing is counted, and a writer that attaches changes nothing."""
    Writer(fd, LAYOUT)
    reader = Reader(fd, LAYOUT)
    assert [reader.scalar(name) for name in SCALARS] == [0] * len(SCALARS)
    assert {group: sum(reader.reasons(group).values()) for group in REASONS} == dict.fromkeys(REASONS, 0)
    assert reader.label_sets() == []
    assert not reader.connections("http1").any()
    assert not reader.overhead().any()


def test_regions_do_not_overlap(fd: int) -> None:
    """Each kind of number has slots of its own; all of them lie inside the memfd."""
    layout = Layout(LATENCY_BUCKETS)
    for chosen in (LAYOUT, layout):
        starts = [0, chosen.reasons_at, chosen.connections_at, chosen.overhead_at, chosen.directory_at]
        assert starts == sorted(set(starts))
        last = chosen.blocks_at + (MAX_LABEL_SETS + 1) * chosen.block_slots
        assert last * 8 == chosen.size
    writer = Writer(fd, LAYOUT)
    places = [writer.scalar(name) for name in SCALARS]
    places += [writer.reason(group, reason) for group, reasons in REASONS.items() for reason in reasons]
    assert places == list(range(LAYOUT.connections_at))


def test_scalars_and_reasons(fd: int) -> None:
    """Set, add with a floor at 0, and counts by reason; an unknown reason goes to the group's last one."""
    writer, reader = Writer(fd, LAYOUT), Reader(fd, LAYOUT)
    writer.set("started", (1 << 64) - 1)
    writer.add("queue_length", 2)
    writer.add("queue_length", -5)
    assert (reader.scalar("started"), reader.scalar("queue_length")) == ((1 << 64) - 1, 0)
    writer.count("desync_request", "bare_lf")
    writer.count("desync_request", "not listed", 3)
    assert {k: v for k, v in reader.reasons("desync_request").items() if v} == {"bare_lf": 1, "other": 3}
    assert not any(reader.reasons("desync_response").values())


def test_a_reader_cannot_write(fd: int) -> None:
    """Readers map the memory read-only."""
    Writer(fd, LAYOUT).block(LABELS)
    with pytest.raises(ValueError):
        Reader(fd, LAYOUT).block(0)[0] = 1


# ---------------------------------------------------------------- bounds


def test_label_sets_over_the_bound_share_one(fd: int) -> None:
    """Of 600 label sets, those over the bound are counted under `<other>`, one per kind; nothing is lost."""
    writer, reader = Writer(fd, LAYOUT), Reader(fd, LAYOUT)
    for number in range(600):
        bump(writer, (f"model{number}", *LABELS[1:]), 0, 5)
        writer.slots[writer.block((f"model{number}", "predict", "x")) + LAYOUT.block_slots - 1] += 1
    sets = reader.label_sets()
    assert len(sets) == len(set(sets)) == MAX_LABEL_SETS + 1
    assert {labels for labels in sets if OTHER in labels} == {(OTHER,) * 5, (OTHER,) * 3}
    counted = [int(reader.block(number)[0]) for number, labels in enumerate(sets) if len(labels) == 5]
    flying = [reader.in_flight(number) for number, labels in enumerate(sets) if len(labels) == 3]
    assert (sum(counted), sum(flying)) == (600, 600)
    again = Writer(fd, LAYOUT)
    assert again.block((OTHER,) * 5) == writer.block((OTHER,) * 5) == writer.block(("new", *LABELS[1:]))
    assert again.block(("model1", *LABELS[1:])) == writer.block(("model1", *LABELS[1:]))


def test_labels_that_are_other_in_part_are_bounded_too(fd: int) -> None:
    """A name over its own cap does not open a way around the bound, nor past the end of the memory."""
    writer = Writer(fd, LAYOUT)
    for number in range(2 * MAX_LABEL_SETS):
        bump(writer, (OTHER, f"{number}", *LABELS[2:]), 1, 5)
    sets = Reader(fd, LAYOUT).label_sets()
    assert len(sets) == MAX_LABEL_SETS
    assert (
        sum(int(Reader(fd, LAYOUT).block(number)[LAYOUT.latency_slots]) for number in range(len(sets)))
        == 1024
    )


def test_long_labels_fill_the_directory_and_no_more(fd: int) -> None:
    """When the directory has no room left, further sets are counted under `<other>`, for which room was kept."""
    writer, reader = Writer(fd, LAYOUT), Reader(fd, LAYOUT)
    for number in range(40):
        bump(writer, ("n" * 30_000 + str(number), *LABELS[1:]), 0, 5)
        writer.block(("n" * 30_000 + str(number), "predict", "x"))
    sets = reader.label_sets()
    assert {(OTHER,) * 5, (OTHER,) * 3} <= set(sets)
    assert reader.scalar("directory_used") < 1 << 18
    fives = [int(reader.block(number)[0]) for number, labels in enumerate(sets) if len(labels) == 5]
    assert sum(fives) == 40
    assert Writer(fd, LAYOUT).block(LABELS) > 0


def test_what_is_remembered_of_refused_labels_is_bounded(fd: int) -> None:
    """Label sets without end do not grow the writer without end; known sets keep their blocks."""
    writer = Writer(fd, LAYOUT)
    first = writer.block(LABELS)
    for number in range(12 * MAX_LABEL_SETS):
        writer.block(("x", str(number), "", "", ""))
    assert len(writer._blocks) <= 8 * MAX_LABEL_SETS + 1
    assert writer.block(LABELS) == first
    assert len(Reader(fd, LAYOUT).label_sets()) <= MAX_LABEL_SETS + 1


# ---------------------------------------------------------------- death


def test_a_new_writer_keeps_counts_and_clears_what_is_nobodys(fd: int) -> None:
    """Counts stay; requests in flight and open connections end with the worker; what was on its way is lost."""
    writer, reader = Writer(fd, LAYOUT), Reader(fd, LAYOUT)
    bump(writer, LABELS, 0, 7)
    flying = writer.block(("iris", "predict", "open_inference_v2")) + LAYOUT.block_slots - 1
    writer.slots[flying] += 3
    for name, value in (("offered", 10), ("acknowledged", 4), ("unacknowledged", 5), ("queue_bytes", 99)):
        writer.set(name, value)
    writer.set("connections_open", 2)
    writer.set("queue_length", 1)
    writer.count("dropped", "sampled")
    Writer(fd, LAYOUT)
    assert int(reader.block(0)[LAYOUT.latency_slots - 1]) == 7
    assert reader.in_flight(1) == 0
    for name in ("connections_open", "queue_length", "unacknowledged", "queue_bytes"):
        assert reader.scalar(name) == 0
    assert {k: v for k, v in reader.reasons("dropped").items() if v} == {"sampled": 1, "worker_lost": 5}
    Writer(fd, LAYOUT)
    assert reader.reasons("dropped")["worker_lost"] == 5


@pytest.mark.parametrize(("offered", "waiting"), [(10, 3), (10, 9), (10, 0)])
def test_the_ledger_closes_wherever_the_worker_died(fd: int, offered: int, waiting: int) -> None:
    """What was offered and not settled is lost, whatever `unacknowledged` said when the worker died."""
    writer, reader = Writer(fd, LAYOUT), Reader(fd, LAYOUT)
    writer.set("offered", offered)
    writer.set("acknowledged", 4)
    writer.set("unacknowledged", waiting)
    Writer(fd, LAYOUT)
    assert reader.scalar("acknowledged") + sum(reader.reasons("dropped").values()) == offered


def test_a_half_written_entry_is_not_seen(fd: int) -> None:
    """An entry counts from the moment that its length is published; what a dead worker left is written over."""
    writer, reader = Writer(fd, LAYOUT), Reader(fd, LAYOUT)
    writer.block(LABELS)
    used = reader.scalar("directory_used")
    at = LAYOUT.directory_at * 8 + used
    writer._map[at : at + 8] = b"\xff" * 8
    assert reader.label_sets() == [LABELS]
    assert Writer(fd, LAYOUT).block(("b", *LABELS[1:])) == LAYOUT.blocks_at + LAYOUT.block_slots
    assert reader.label_sets() == [LABELS, ("b", *LABELS[1:])]


_CHILD = """
import sys
from exporter.records.messages import decode_batch
from exporter.records.queue import Sender
from exporter.records.totals import Layout, Writer
from tests.records.exchanges import exchange

writer = Writer(int(sys.argv[1]), Layout((0.001, 0.1, 10.0)))
sender, sent = Sender(writer), []
sender.connect(sent.append)
place = writer.layout.block_slots - 1
number = 0
while True:
    number += 1
    block = writer.block((f"m{number % 300}", "1", "predict", "x", "200"))
    writer.slots[block] += 1
    writer.slots[block + 1] += 1
    writer.slots[writer.block((f"m{number % 3}", "predict", "x")) + place] += 1
    if sender.admits(str(number)):
        sender.put(exchange(request_body=b"x" * (number % 4000)))
    if number % 7 == 0:
        sender.flush()
    if len(sent) > 5:
        sender.acknowledge(decode_batch(sent[-3][4:]).number)
        sent.clear()
    if number % 501 == 0:
        sender.disconnect()
        sender.connect(sent.append)
"""


def test_a_killed_process_leaves_exact_totals(fd: int) -> None:
    """Killed at any point, again and again: pairs of counts differ by one at most, nothing goes back, ledgers close."""
    root = str(Path(__file__).parents[2])
    reader = Reader(fd, LAYOUT)
    before = 0
    for deaths, wait in enumerate((50, 700, 333, 1500), 1):
        started = reader.scalar("offered")
        with subprocess.Popen([sys.executable, "-c", _CHILD, str(fd)], pass_fds=(fd,), cwd=root) as child:
            deadline = time.monotonic() + 30
            while reader.scalar("offered") < started + wait:
                assert child.poll() is None
                assert time.monotonic() < deadline
            child.send_signal(signal.SIGKILL)
        writer = Writer(fd, LAYOUT)
        firsts = [int(reader.block(number)[0]) for number, s in enumerate(reader.label_sets()) if len(s) == 5]
        seconds = [
            int(reader.block(number)[1]) for number, s in enumerate(reader.label_sets()) if len(s) == 5
        ]
        assert 0 <= sum(firsts) - sum(seconds) <= deaths
        assert sum(firsts) >= before + wait
        before = sum(firsts)
        dropped = sum(reader.reasons("dropped").values())
        assert reader.scalar("offered") == reader.scalar("acknowledged") + dropped
        assert reader.scalar("unacknowledged") == reader.scalar("queue_bytes") == 0
        assert [reader.in_flight(number) for number, s in enumerate(reader.label_sets()) if len(s) == 3] == [
            0
        ] * 3
        assert writer.block(("m1", "1", "predict", "x", "200")) > 0
    assert len(reader.label_sets()) == len(set(reader.label_sets())) == 303
    assert reader.reasons("dropped")["worker_lost"] > 0
    assert totals.DROP_REASONS[-1] == "worker_lost"
