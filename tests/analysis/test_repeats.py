"""repeats.py: attempts with one id are counted, within a bound."""

from exporter.analysis.repeats import GENERATION, Repeats


def test_attempts_are_counted() -> None:
    """Each request after the first with its id; requests without an id never."""
    made = Repeats()
    for one in ("a", "b", "a", "", "a", ""):
        made.see(one)
    assert made.count == 2


def test_bound() -> None:
    """An id is remembered for a generation at least and forgotten after two."""
    made = Repeats()
    made.see("early")
    for n in range(GENERATION):
        made.see(f"{n}")
    made.see("early")
    assert made.count == 1
    for n in range(2 * GENERATION):
        made.see(f"later {n}")
    made.see("0")
    assert made.count == 1
    assert len(made._young) + len(made._old) <= 2 * GENERATION
