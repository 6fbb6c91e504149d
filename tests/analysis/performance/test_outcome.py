"""performance.py: what stores hand out is counted, or told why not; bounds."""

from exporter.analysis.performance.judged import What, Words
from exporter.analysis.performance.label import label_bytes
from exporter.analysis.performance.margins import Margins
from exporter.analysis.performance.outcome import MOST, Joined, Performance
from exporter.analysis.performance.report import label_samples, performance_samples
from exporter.pending.row import blank

NOW = 1_700_000_000.0
WORDS = Words()
ONE = WORDS.id("1")
LABEL = label_bytes(1.0, 1.0, ONE)


def row(what: What, role: int = 0) -> bytes:
    """Predicted to be 1."""
    found = blank(1, NOW)
    found["version"], found["role"], found["value"] = what.id, role, 0.5
    found["bins"] = list(ONE.to_bytes(8, "little"))
    return found.tobytes()


def what(name: str = "m") -> What:
    return What(name, "1", "y", "classes")


def made(*whats: What) -> Performance:
    return Performance({one.id: one for one in whats}, WORDS, Margins(), NOW)


def rows(performance: Performance) -> float:
    return sum(account.added.rows for account in performance.standing().accounts)


def test_what_cannot_be_read_costs_nothing_else() -> None:
    """Rows of a later layout, labels of another length: counted as unreadable, beside what counts."""
    performance, good = made(what()), row(what())
    later = bytes([9]) + good[1:]
    joined = [
        Joined(good, LABEL, NOW),
        Joined(later, LABEL, NOW),
        Joined(good, b"short", NOW),
        Joined(good, LABEL, NOW, b"short"),
        Joined(good[:-1], LABEL, NOW),
        Joined(good, LABEL, NOW),
    ]
    assert not performance.unknown([Joined(later, LABEL, NOW)])
    performance.count(joined)
    assert (rows(performance), performance.losses["unreadable"]) == (2, 4)
    performance.count([])
    assert rows(performance) == 2


def test_versions_that_nobody_knows() -> None:
    """They are asked for, and counted if they stay unknown; so are roles of a later release."""
    performance = made()
    joined = [Joined(row(what()), LABEL, NOW)]
    assert performance.unknown(joined)
    performance.count(joined)
    assert performance.losses["unknown_version"] == 1
    other = made(what())
    other.count([Joined(row(what(), role=9), LABEL, NOW)])
    assert other.losses["unknown_version"] == 1


def test_outputs_are_bounded() -> None:
    """What is over counts nowhere, and is counted as that."""
    whats = [what(f"m{number}") for number in range(MOST + 3)]
    performance = made(*whats)
    performance.count([Joined(row(one), LABEL, NOW) for one in whats])
    assert (rows(performance), performance.losses["crowded"]) == (MOST, 3)


def test_a_clock_that_is_behind() -> None:
    """A label from before its prediction has no lag below 0: a sum would fall."""
    performance = made(what())
    performance.count([Joined(row(what()), LABEL, NOW - 50)])
    (lag,) = performance.standing().lags.values()
    assert (lag.counts[0], lag.total) == (1, 0.0)


def test_samples_of_one_family_are_together() -> None:
    """Whoever exports them relies on it; nothing is told twice."""
    performance = made(what("a"), what("b"))
    performance.count([Joined(row(what(name)), LABEL, NOW) for name in ("a", "b", "a")])
    standing = performance.standing()
    samples = [*label_samples(standing, {("a", "1", "live"): {"kept": 2}}), *performance_samples(standing)]
    names = [one.name for one in samples]
    assert names == sorted(names, key=list(dict.fromkeys(names)).index)
    places = [(one.name, one.labels) for one in samples]
    assert len(places) == len(set(places))
