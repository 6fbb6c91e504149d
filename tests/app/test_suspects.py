"""Dialects that kill the analysis."""

from exporter.processes.suspects import DEATHS, OFF_SECONDS, REMEMBERED_SECONDS, Suspects


def test_three_deaths_switch_off() -> None:
    """The third death with a dialect in hand switches it off, for a while."""
    suspects = Suspects()
    assert [suspects.died("v2", now) for now in range(DEATHS)] == [False, False, True]
    assert suspects.off(DEATHS - 1 + OFF_SECONDS - 1) == ("v2",)
    assert suspects.off(DEATHS - 1 + OFF_SECONDS) == ()


def test_dialects_are_judged_apart() -> None:
    """Deaths with another dialect in hand do not count."""
    suspects = Suspects()
    assert not any(suspects.died(dialect, 0) for dialect in ("v1", "v2", "v1", "v2"))
    assert suspects.died("v1", 1)
    assert suspects.off(2) == ("v1",)


def test_old_deaths_are_forgotten() -> None:
    """Deaths far apart switch nothing off."""
    suspects = Suspects()
    assert not any(suspects.died("v2", n * REMEMBERED_SECONDS) for n in range(10))


def test_a_second_chance() -> None:
    """After its time a dialect has three lives again."""
    suspects = Suspects()
    for now in range(DEATHS):
        suspects.died("v2", now)
    assert not suspects.died("v2", OFF_SECONDS + DEATHS)
    assert suspects.off(OFF_SECONDS + DEATHS) == ()
