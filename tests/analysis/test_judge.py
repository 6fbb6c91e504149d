"""judge.py: windows against references, and which columns are shown."""

from dataclasses import replace

import numpy as np
import pytest

from exporter.analysis.judge import TOP_COLUMNS, Judge
from exporter.analysis.known import STATISTIC_NAMES, Known
from exporter.stats import STATISTICS, Profile, View, Windows
from exporter.stats.profiles.build import Column as Data
from exporter.stats.profiles.build import ProfileConfig, build
from exporter.stats.profiles.levels import Level

NAMES = [f"f{place:02}" for place in range(30)]
NONE: frozenset[str] = frozenset()


def reference() -> Profile:
    rng = np.random.default_rng(1)
    return build({name: Data(rng.normal(size=4000)) for name in NAMES}, ProfileConfig())


def views(profile: Profile, moved: dict[str, float], rows: int = 2000) -> tuple[Windows, dict[float, View]]:
    rng = np.random.default_rng(2)
    windows = Windows(profile.layout(), (300.0, 3600.0))
    windows.update(1e9, {name: rng.normal(moved.get(name, 0.0), 1.0, rows) for name in NAMES})
    return windows, {length: windows.read(1e9, length) for length in windows.lengths}


def test_names_that_settings_know_are_those_of_the_statistics() -> None:
    """They are written twice, for settings load no numpy."""
    assert tuple(statistic.name for statistic in STATISTICS) == STATISTIC_NAMES
    assert Known().windows == Windows(reference().layout()).lengths


def test_all_windows_and_statistics_are_as_of_one_pair() -> None:
    """What is found equals the statistic of each column by itself, per-bin sums included."""
    profile = reference()
    windows, live = views(profile, {"f07": 1.0})
    judged = Judge(profile, "feature").judged(windows.layout, NONE, live)
    assert list(judged.results) == [300.0, 3600.0]
    column, view = profile.column("f07"), live[300.0]
    pair = column.pair(view.counts("f07"), view.bin_sums("f07"))
    found = {drift.statistic: drift for drift in judged.results[300.0].of("f07")}
    assert set(found) == set(STATISTIC_NAMES)
    for statistic in STATISTICS:
        alone = statistic.measure(pair)
        assert alone is not None
        assert found[statistic.name].value == pytest.approx(alone.value)
        assert found[statistic.name].exceeds(0.1)


def test_columns_that_drifted_most_are_shown_in_order() -> None:
    """Those that moved come among the shown, however late they are declared; the rest are the first ones."""
    profile = reference()
    windows, live = views(profile, {"f29": 2.0, "f28": 1.0})
    shown = Judge(profile, "feature").judged(windows.layout, NONE, live).shown
    assert shown == (*NAMES[: TOP_COLUMNS - 2], "f28", "f29")


def test_chance_changes_nothing_that_is_shown() -> None:
    """Without drift the same columns stay; one that drifted and recovered keeps its place."""
    profile = reference()
    judge = Judge(profile, "feature")
    windows, moved = views(profile, {"f29": 2.0})
    _, calm = views(profile, {})
    assert judge.judged(windows.layout, NONE, calm).shown == tuple(NAMES[:TOP_COLUMNS])
    after = judge.judged(windows.layout, NONE, moved).shown
    assert after == (*NAMES[: TOP_COLUMNS - 1], "f29")
    assert judge.judged(windows.layout, NONE, calm).shown == after


def test_outputs_are_all_shown_and_without_a_reference_nothing_is_found() -> None:
    """Local gauges of outputs are for all of them; no reference, no result."""
    profile = reference()
    windows, live = views(profile, {})
    assert Judge(None, "prediction").judged(windows.layout, NONE, live).shown == tuple(NAMES)
    assert Judge(None, "feature").judged(windows.layout, NONE, live).results == {}
    assert Judge(profile, "feature").judged(windows.layout, frozenset(NAMES[1:]), live).results[
        300.0
    ].columns == ("f00",)


def test_effects_are_the_owners() -> None:
    """A larger effect than the drift is no drift, of that statistic alone."""
    profile = reference()
    windows, live = views(profile, {"f00": 0.5})
    judge = Judge(profile, "feature", ("psi=9",))
    result = judge.judged(windows.layout, NONE, live).results[300.0]
    assert result.drifted("psi", judge.effects["psi"]) == ((), 30)
    assert result.drifted("hellinger", judge.effects["hellinger"]) == (("f00",), 30)
    assert result.drifted("psi") == (("f00",), 30)


def test_levels_are_those_of_the_windows_length() -> None:
    """A reference that has its own level for an hour gives it to the window of an hour only."""
    rng = np.random.default_rng(3)
    days = {name: Data(rng.normal(size=400)) for name in NAMES}
    plain = build(days, ProfileConfig())
    profile = replace(plain, levels=(Level("f00", "psi", 3600, 9, 0.25, 0.25),))
    windows, live = views(profile, {})
    results = Judge(profile, "feature").judged(windows.layout, NONE, live).results
    levels = {
        length: [drift.level for drift in result.of("f00") if drift.statistic == "psi"]
        for length, result in results.items()
    }
    assert levels == {300.0: [None], 3600.0: [1.0]}
