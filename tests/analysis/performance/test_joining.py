"""Rows that begin to wait: however exchanges come together, what reaches the store and what is counted is the same."""

from collections import defaultdict
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.analysis.engine import Engine
from exporter.analysis.known import Known
from exporter.analysis.performance.joining import Joining
from exporter.analysis.performance.margins import Margins
from exporter.pending.contract import Rows
from exporter.pending.row import Pending, key, request_digest, split
from exporter.pending.sampling import Sampler
from exporter.records.exchange import Exchange
from exporter.records.segment import parse
from tests.analysis.world import BOUNDS, NOW, v2

SCORES = st.lists(st.sampled_from([0.0, 0.05, 0.3, 0.7, 1.0, 7.0]), min_size=1, max_size=3)


class Asked(NamedTuple):
    """One exchange: its id, "" for none; when it was answered, scores, and whether they are of two outputs."""

    id: str
    seconds: float
    scores: list[float]
    paired: bool = False

    @property
    def exchange(self) -> Exchange:
        """As the data plane hands it over."""
        field = f"x-request-id: {self.id}\r\n" if self.id else ""
        head = f"POST / HTTP/1.1\r\n{field}\r\n".encode()
        outputs = {"y": self.scores}
        if self.paired:
            outputs = {"no": [1.0 - score for score in self.scores], "yes": self.scores}
        inputs = {"city": ["Bern" if score < 0.5 else "Rome" for score in self.scores]}
        start = int((NOW + self.seconds) * 1e9)
        return v2(inputs, outputs, request_head=head, start=start, duration=0)


class Replica:
    """An engine, and a store that keeps what is offered in the order of each key."""

    def __init__(self, rate: float = 1.0, **known: Any) -> None:
        told = Known(task="binary", positive_class="yes", label_groups=(parse("city=Bern|Rome"),), **known)
        self.margins = Margins("no")
        self.joining = Joining(told, Sampler(rate), self._offer, self.margins)
        self.engine = Engine((), told, BOUNDS, NOW)
        self.engine.joining = self.joining
        self.rows: dict[bytes, list[bytes]] = defaultdict(list)

    def _offer(self, rows: Rows, now: float) -> bool:
        for name, row in zip(rows.keys, split(rows.values), strict=True):
            self.rows[name].append(row)
        return True

    def see(self, listed: list[Asked]) -> None:
        """What came together."""
        for one in listed:
            self.engine.record(one.exchange, self.engine.understand(one.exchange), NOW)
        self.engine.flush(NOW)

    def told(self) -> list[Any]:
        """Rows, ledger, cells by hour, coverage."""
        self.joining.count()
        cells = {hour: (dict(own), labelled) for hour, own, labelled in self.margins.drain()}
        return [dict(self.rows), self.joining.ledger, cells, sorted(self.joining.kept.counts())]


EXCHANGES = st.lists(
    st.builds(
        Asked,
        st.sampled_from(["", "a", "b", "c", "\xe9", "x" * 300]),
        st.sampled_from([0.0, 0.25, 1 / 3, 3599.9, 7200.0]),
        SCORES,
    ),
    max_size=8,
)


@settings(max_examples=40)
@given(EXCHANGES, st.booleans(), st.sampled_from([1.0, 0.5]))
def test_exchanges_together_are_as_each_alone(listed: list[Asked], paired: bool, rate: float) -> None:
    """The same rows in the order of each key, the same ledger, cells and coverage."""
    listed = [one._replace(paired=paired) for one in listed]
    together, alone = Replica(rate), Replica(rate)
    together.see(listed)
    for one in listed:
        alone.see([one])
    assert together.told() == alone.told()


def test_a_row_is_what_the_exchange_says() -> None:
    """Key, time, place in its request, score, class and group, of a request alone as of one among others."""
    replica = Replica()
    replica.see([Asked("a", 0.5, [0.75], paired=True), Asked("b", 1.25, [0.25, 0.75], paired=True)])
    found = {name: [Pending.unpacked(row) for row in rows] for name, rows in replica.rows.items()}
    expected = {("a", 0): (0.5, 0.75, 1), ("b", 0): (1.25, 0.25, 0), ("b", 1): (1.25, 0.75, 1)}
    assert set(found) == {key(request_digest("", name), number) for name, number in expected}
    words = replica.joining.words
    for (name, number), (seconds, score, group) in expected.items():
        (row,) = found[key(request_digest("", name), number)]
        assert (row.time, row.row, row.value) == (NOW + seconds, number, score)
        assert row.groups == bytes([group, 255, 255, 255])
        assert words.name(int.from_bytes(row.bins, "little")) == ("yes" if score >= 0.5 else "no")


def test_rows_are_keyed_by_a_column_of_ids() -> None:
    """Each by its own id; one that has none is counted, and joins nothing."""
    replica = Replica(id_columns=("city",))
    replica.see([Asked("a", 0.0, [0.25, 0.75, 0.3])])
    names = [("Bern", 0), ("Rome", 0), ("Bern", 1)]
    assert set(replica.rows) == {key(request_digest("", name), number) for name, number in names}
    assert replica.joining.ledger["iris", "1", "live"]["kept"] == 3


def test_what_waits_to_be_counted_has_a_bound() -> None:
    """Thousands of rows are counted without being told to."""
    replica = Replica()
    replica.see([Asked(str(number), 0.0, [0.25] * 500) for number in range(9)])
    assert sum(count for *_, count in replica.joining.kept.counts()) >= 4096
