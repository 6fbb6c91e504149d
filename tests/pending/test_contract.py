"""One suite for every store: what it keeps, hands out, forgets and counts."""

import math
import threading
from collections import Counter

import numpy as np
import pytest

from exporter.pending.contract import MAX_ROWS_PER_KEY, Counts, Label, Limits, Rows, Store
from exporter.pending.row import blank, keys, request_digest, unpacked
from tests.pending.conftest import Make
from tests.pending.stores import HOUR, LIVE, SHADOW, T0, V1, V2, key, label, rows, told

DAY = 86_400.0


def counts(store: Store) -> Counts:
    """The ledger, which must balance."""
    found = store.counts()
    assert found is not None
    assert found.balanced
    assert min(getattr(found, name) for name in Counts.__slots__) >= 0
    assert sum(store.lost.values()) == 0
    return found


def outcomes(store: Store, *labels: Label, now: float = T0 + 60) -> list[str]:
    return [taken.outcome for taken in store.take(labels, now)]


def test_a_row_waits_and_joins_once(store: Store) -> None:
    """A label is handed the row as it was put; a second of the same value is a duplicate."""
    given = rows("a", "b")
    assert store.put(given, T0) == []
    assert counts(store).pending == 2
    (taken,) = store.take([label("b")], T0 + 60)
    assert taken.outcome == "joined"
    assert taken.rows == given.values[1].tobytes()
    assert outcomes(store, label("b")) == ["duplicate"]
    found = counts(store)
    assert (found.predictions, found.joined, found.pending) == (2, 1, 1)


def test_every_version_and_shadow_is_scored(store: Store) -> None:
    """All rows under the key are handed out by one label, each once."""
    store.put(rows("a"), T0)
    store.put(rows("a", version=V2), T0)
    store.put(rows("a", version=V2, role=SHADOW, time=T0 + 1), T0 + 1)
    (taken,) = store.take([label("a")], T0 + 60)
    assert told(taken.rows) == [(V1, LIVE), (V2, LIVE), (V2, SHADOW)]
    assert counts(store).joined == 3


def test_an_answer_that_comes_after_the_label_joins_at_once(store: Store) -> None:
    """A slow shadow's row finds the label that its key has, and a later label corrects both."""
    store.put(rows("a"), T0)
    store.take([label("a")], T0 + 60)
    (released,) = store.put(rows("a", role=SHADOW, time=T0 + 61), T0 + 61)
    assert told(released.row) == [(V1, SHADOW)]
    assert (released.key, released.value, released.time) == (key("a"), b"good", T0 + 60)
    found = counts(store)
    assert (found.joined, found.pending, found.released) == (2, 0, 0)
    (taken,) = store.take([label("a", b"bad", T0 + 70)], T0 + 70)
    assert told(taken.rows) == [(V1, LIVE), (V1, SHADOW)]


def test_an_early_label_is_parked(store: Store) -> None:
    """It is handed out with the row that comes, once; until then the last of several counts."""
    assert outcomes(store, label("a"), label("a"), label("a", b"bad"), label("b")) == [
        *("parked", "duplicate", "parked", "parked")
    ]
    (released,) = store.put(rows("a", "c"), T0 + 61)
    assert (released.key, released.value, released.time) == (key("a"), b"bad", T0 + 60)
    assert outcomes(store, label("a", b"bad")) == ["duplicate"]
    found = counts(store)
    assert (found.parked, found.released, found.joined, found.pending) == (2, 1, 1, 1)


def test_a_parked_label_is_given_up(make: Make) -> None:
    """After its time a row waits as if the label had never come, and there is room for another."""
    store = make(Limits(parked=16, park_seconds=100))
    assert outcomes(store, label("a"), now=T0) == ["parked"]
    store.expire(T0 + 99)
    assert outcomes(store, label("a"), now=T0 + 99) == ["duplicate"]
    assert store.put(rows("a", time=T0 + 100), T0 + 100) == []
    assert counts(store).pending == 1
    assert outcomes(store, label("a"), now=T0 + 101) == ["joined"]


def test_a_correction_tells_what_was_there(store: Store) -> None:
    """Another label hands the rows out again with the one before; an older observation changes nothing."""
    store.put(rows("a"), T0)
    store.take([label("a", b"good", T0 + 60)], T0 + 60)
    assert outcomes(store, label("a", b"bad", T0 + 59)) == ["stale"]
    (taken,) = store.take([label("a", b"bad", T0 + 61)], T0 + 62)
    assert (taken.outcome, taken.before, told(taken.rows)) == ("corrected", b"good", [(V1, LIVE)])
    assert outcomes(store, label("a", b"good", T0 + 60)) == ["stale"]
    assert outcomes(store, label("a", b"bad", T0 + 90), label("a", b"good", T0 + 80)) == [
        "duplicate",
        "stale",
    ]
    assert counts(store).joined == 1


def test_a_version_answers_a_key_once(store: Store) -> None:
    """The same version again is refused and counted, pending or joined, in one batch or two."""
    store.put(rows("a", "a"), T0)
    store.put(rows("a"), T0)
    store.take([label("a")], T0 + 60)
    assert store.put(rows("a"), T0 + 61) == []
    found = counts(store)
    assert (found.predictions, found.repeated, found.joined) == (1, 3, 1)


def test_answers_to_a_key_are_bounded(store: Store) -> None:
    """What is beyond the bound is evicted."""
    for version in range(MAX_ROWS_PER_KEY + 2):
        store.put(rows("a", version=version), T0)
    (taken,) = store.take([label("a")], T0)
    assert len(told(taken.rows)) == MAX_ROWS_PER_KEY
    found = counts(store)
    assert (found.joined, found.evicted) == (MAX_ROWS_PER_KEY, 2)


def test_one_batch_may_hold_anything(store: Store) -> None:
    """Many rows of many ages with keys that come twice; labels of all, of none, and twice."""
    digest, count = request_digest("dialect", "one"), 1500
    values = blank(count, T0)
    values["version"] = V1
    values["seconds"] -= (np.arange(count) * 1000).astype(np.uint32)
    given = Rows(keys(digest, range(count)), values)
    store.put(given, T0)
    labels = [
        Label(one, b"", T0) for one in (*given.keys, *given.keys[:10], *keys(digest, range(2000, 2010)))
    ]
    taken = store.take(labels, T0)
    assert Counter(one.outcome for one in taken) == {"joined": count, "duplicate": 10, "parked": 10}
    assert (unpacked(b"".join(one.rows for one in taken))["row"] == np.arange(count)).all()
    assert counts(store).joined == count


def test_empty_batches(store: Store) -> None:
    """Nothing comes of nothing."""
    assert store.put(Rows([], blank(0, T0)), T0) == []
    assert store.take([], T0) == []
    assert counts(store) == Counts()


@pytest.mark.parametrize("age", [1.0, 100.0, 30 * DAY])
def test_rows_expire(make: Make, age: float) -> None:
    """They are kept for their age, and gone a 64th of it later; joined ones are forgotten without a count."""
    store = make(Limits(age_seconds=age))
    slack = max(1, math.ceil(age / 64))
    store.put(rows("a", "b", "c"), T0)
    store.take([label("c")], T0)
    store.expire(T0 + age - 0.01)
    assert counts(store).pending == 2
    assert outcomes(store, label("a"), now=T0 + age - 0.01) == ["joined"]
    store.expire(T0 + age + slack)
    found = counts(store)
    assert (found.pending, found.expired, found.joined, found.held_bytes) == (0, 1, 2, 0)
    assert outcomes(store, label("b"), label("a"), now=T0 + age + slack) == ["parked", "parked"]


def test_what_is_too_old_is_gone_without_being_asked(make: Make) -> None:
    """A label finds no row that is over its age, and a row no label, even if nobody has called `expire`."""
    store = make(Limits(age_seconds=100, park_seconds=50))
    store.put(rows("a"), T0)
    store.take([label("b")], T0)
    assert outcomes(store, label("a"), now=T0 + 110) == ["parked"]
    assert store.put(rows("b", time=T0 + 110), T0 + 110) == []
    store.expire(T0 + 110)
    found = counts(store)
    assert (found.predictions, found.expired, found.pending) == (2, 1, 1)


def test_times_that_cannot_be(make: Make) -> None:
    """A row that is too old has expired at once; one from the future lives as long as one of now."""
    store = make(Limits(age_seconds=640))
    store.put(rows("old", time=T0 - 700), T0)
    store.put(rows("new", time=T0 + 1e6), T0)
    found = counts(store)
    assert (found.predictions, found.expired, found.pending) == (2, 1, 1)
    (taken,) = store.take([label("new")], T0)
    assert unpacked(taken.rows)["seconds"].tolist() == [T0]
    assert outcomes(store, label("old"), now=T0) == ["parked"]


@pytest.mark.parametrize("bound", ["rows", "bytes"])
def test_rows_are_bounded(make: Make, bound: str) -> None:
    """Some are evicted, the rest is within the bound and still joins."""
    store = make(Limits(rows=64) if bound == "rows" else Limits(bytes=64 * 190))
    names = [f"id {number}" for number in range(640)]
    for at in range(0, 640, 32):
        now = T0 + at * HOUR
        store.put(rows(*names[at : at + 32], time=now), now)
    found = counts(store)
    assert found.predictions == 640 and 32 <= found.pending <= 100
    assert found.evicted == 640 - found.pending
    joined = Counter(outcomes(store, *map(label, names), now=T0 + 640 * HOUR))
    assert joined["joined"] == found.pending


def test_parked_labels_are_bounded(make: Make) -> None:
    """What there is no room for is refused and counted."""
    store = make(Limits(parked=16))
    found = Counter(outcomes(store, *(label(f"id {number}") for number in range(400))))
    assert found["parked"] == counts(store).parked == 16
    assert found["full"] == counts(store).refused_labels == 400 - 16
    none = make(Limits(parked=0))
    assert outcomes(none, label("x")) == ["full"]


def test_labels_of_every_length(store: Store) -> None:
    """Whether it comes before its row or after it, a label is told from a row, and comes out as it went in."""
    sizes = [size for size in range(32) if size != 28]
    early = [label(f"early {size}", b"x" * size) for size in sizes]
    late = [label(f"late {size}", b"y" * size) for size in sizes]
    assert {*outcomes(store, *early)} == {"parked"}
    assert {*outcomes(store, *early)} == {"duplicate"}
    released = store.put(rows(*(f"early {size}" for size in sizes)), T0)
    assert sorted(len(one.value) for one in released) == sizes
    store.put(rows(*(f"late {size}" for size in sizes)), T0)
    assert {*outcomes(store, *late)} == {"joined"}
    later = [label(f"{when} {size}", b"z", T0 + 90) for when in ("early", "late") for size in sizes]
    taken = store.take(later, T0)
    assert [len(one.before) for one in taken] == [*sizes, *sizes]
    assert {(one.outcome, len(one.rows)) for one in taken} == {("corrected", 40)}


@pytest.mark.parametrize(
    "wrong",
    [label("a", b"x" * 28), label("a", b"x" * 32), label("a", time=math.nan), label("a", time=math.inf)]
    + [Label(b"key", b"", T0)],
)
def test_labels_that_cannot_be_are_the_callers_fault(store: Store, wrong: Label) -> None:
    """They are refused before anything is touched."""
    with pytest.raises(ValueError, match="15 bytes"):
        store.take([label("a"), wrong], T0)
    assert counts(store) == Counts()


@pytest.mark.parametrize(
    "wrong",
    [
        Rows([key("a")], blank(2, T0)),
        Rows([b"key"], blank(1, T0)),
        Rows([key("a") + b"x", key("b")[1:]], blank(2, T0)),
        Rows([key("a")], np.zeros(1)),
    ],
)
def test_rows_that_cannot_be_are_the_callers_fault(store: Store, wrong: Rows) -> None:
    """They are refused before anything is kept."""
    with pytest.raises(ValueError, match="keys of 15 bytes"):
        store.put(wrong, T0)
    assert counts(store) == Counts()


def test_two_takers_get_each_key_once(make: Make) -> None:
    """Labels of the same rows, at the same time, by two clients: each row is handed out to one of them."""
    first = make(Limits())
    second = first if first.name == "memory" else make(Limits())
    names = [f"id {number}" for number in range(2000)]
    first.put(rows(*names), T0)
    joined: list[bytes] = []

    def taker(store: Store) -> None:
        for at in range(0, len(names), 50):
            taken = store.take([label(name) for name in names[at : at + 50]], T0)
            joined.extend(one.rows for one in taken if one.outcome == "joined")

    threads = [threading.Thread(target=taker, args=(store,)) for store in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(joined) == len(names)
    assert counts(first).joined == len(names)


def test_rows_and_labels_do_not_miss_each_other(make: Make) -> None:
    """One puts while another labels the same keys: each meets, on one side or the other, exactly once."""
    first = make(Limits())
    second = first if first.name == "memory" else make(Limits())
    names = [f"id {number}" for number in range(1000)]
    met: list[object] = []

    def putter() -> None:
        for at in range(0, len(names), 20):
            met.extend(first.put(rows(*names[at : at + 20]), T0))

    thread = threading.Thread(target=putter)
    thread.start()
    for at in range(0, len(names), 20):
        taken = second.take([label(name) for name in names[at : at + 20]], T0)
        met.extend(one for one in taken if one.outcome == "joined")
    thread.join()
    assert len(met) == len(names)
    assert counts(first).joined == len(names)


def test_versions_are_learned(store: Store) -> None:
    """What a version is called is kept as it was first told, numbers of all 64 bits; too long a name is not."""
    store.learn({V1: "churn 1", 2**64 - 1: "last"})
    store.learn({V1: "other", 7: "x" * 5000})
    assert store.versions() == {V1: "churn 1", 2**64 - 1: "last"}
    store.learn({number: str(number) for number in range(5000)})
    assert len(store.versions()) == 4096


def test_cells_add_up(store: Store) -> None:
    """Cells of an hour are sums, those that are withdrawn included; hours come in order."""
    hour = int(T0 // 3600)
    assert store.add_cells(hour + 1, {"tp": 1}, T0)
    assert store.add_cells(hour, {"tp": 2, "error é": 0.5}, T0)
    assert store.add_cells(hour, {"tp": -1, "error é": 0.25}, T0)
    first, second = store.cohorts()
    assert (first.hour, first.cells, first.settled) == (hour, {"tp": 1, "error é": 0.75}, False)
    assert (second.hour, second.cells) == (hour + 1, {"tp": 1})


def test_a_cohort_is_taken_by_one(store: Store) -> None:
    """A lease keeps others away until it ends; who settles in time counts, and nothing is added afterwards."""
    hour = int(T0 // 3600)
    store.add_cells(hour, {"tp": 3}, T0)
    assert store.claim(hour - 1, "one", T0 + 60, T0) is None
    claimed = store.claim(hour, "one", T0 + 60, T0)
    assert claimed is not None and claimed.cells == {"tp": 3}
    assert store.claim(hour, "two", T0 + 60, T0 + 59) is None
    assert store.cohorts()[0].until == T0 + 60
    assert not store.settle(hour, "two", T0 + 59)
    assert not store.settle(hour, "one", T0 + 60)
    assert store.claim(hour, "two", T0 + 120, T0 + 60) is not None
    assert not store.settle(hour, "one", T0 + 61)
    assert store.settle(hour, "two", T0 + 61)
    assert not store.settle(hour, "two", T0 + 62)
    assert not store.add_cells(hour, {"tp": 1}, T0 + 62)
    assert store.claim(hour, "one", T0 + 999, T0 + 200) is None
    (found,) = store.cohorts()
    assert (found.settled, found.cells, found.until) == (True, {"tp": 3}, 0)


def test_cells_are_bounded(make: Make) -> None:
    """New cells over the bound, and names that are too long, are refused and counted; known ones still add up."""
    store = make(Limits(cells=3))
    hour = int(T0 // 3600)
    assert store.add_cells(hour, {"a": 1, "b": 1}, T0)
    assert store.add_cells(hour + 1, {"a": 1, "b": 1, "x" * 257: 1}, T0)
    assert store.add_cells(hour, {"a": 1}, T0)
    assert [cohort.cells for cohort in store.cohorts()] == [{"a": 2, "b": 1}, {"a": 1}]
    assert counts(store).refused_cells == 2


def test_cells_stay_numbers(store: Store) -> None:
    """A value that would make the sum no number is refused and counted."""
    hour = int(T0 // 3600)
    wrong = {"nan": math.nan, "infinite": math.inf, "huge": -1e101}
    assert store.add_cells(hour, {"a": 1, **wrong}, T0)
    assert store.add_cells(hour, {"a": math.nan, "b": -1e100}, T0)
    assert store.cohorts()[0].cells == {"a": 1, "b": -1e100}
    assert counts(store).refused_cells == 4


def test_cohorts_are_forgotten(make: Make) -> None:
    """After twice the age an hour goes, makes room, and takes nothing more."""
    store = make(Limits(age_seconds=DAY, cells=2))
    hour = int(T0 // 3600)
    later = (hour + 1) * HOUR + 2 * DAY
    store.add_cells(hour, {"a": 1, "b": 1}, T0)
    store.claim(hour, "one", T0 + 60, T0)
    store.expire(later - 1)
    assert len(store.cohorts()) == 1
    store.expire(later)
    assert store.cohorts() == []
    assert not store.add_cells(hour, {"a": 1}, later)
    assert store.add_cells(hour + 48, {"a": 1, "b": 1}, later)
    assert len(store.cohorts()[0].cells) == 2
    assert store.claim(hour + 48, "two", later + 60, later) is not None


def test_closed_twice(store: Store) -> None:
    """To close again does nothing."""
    store.put(rows("a"), T0)
    store.close()
    store.close()
