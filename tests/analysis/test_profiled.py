"""Live columns of every type against the columns of a profile that was made of the same rows."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from exporter.analysis.joint import LOCATIONS
from exporter.analysis.known import Known
from exporter.analysis.series import Key, Series
from exporter.analysis.window_report import gauges
from exporter.records.observation import Column, Observation
from exporter.stats import STATISTICS, Profile
from exporter.stats.profiles.build import Chunk, ProfileConfig, build_from
from exporter.stats.profiles.levels import Level
from exporter.stats.profiles.survey import Plan
from exporter.stats.profiles.types import typed
from tests.analysis.world import NOW, column, found

ROWS = 2000
WORDS = ("a", "b", "c")
PLANS = (
    *(Plan("x"), Plan("word", type="categorical"), Plan("flag", type="boolean"), Plan("note", type="text")),
    *(Plan("at", type="datetime"), Plan("since", type="datetime", unit="ms"), Plan("emb", type="vector")),
    *(Plan("customer", type="identifier"), Plan("key", "id", "numeric"), Plan("old", "ignored")),
    *(Plan("label", "target"), Plan("score", "score")),
)


def rows_of(seed: int, shift: float = 0.0, rows: int = ROWS) -> dict[str, Any]:
    """A cell of every type in each row; `shift` moves all of them."""
    rng = np.random.default_rng(seed)
    more = int(shift > 0)
    hours = rng.integers(0, 12, rows) + 12 * more
    return {
        "x": rng.normal(shift, 1.0, rows).tolist(),
        "word": rng.choice(WORDS, rows, p=(0.6, 0.3, 0.1) if not more else (0.1, 0.3, 0.6)).tolist(),
        "flag": [bool(v) for v in rng.random(rows) < 0.3 + 0.4 * more],
        "note": ["some words of a text" + " more" * (v + 3 * more) for v in rng.integers(0, 3, rows).tolist()],
        "at": [f"2024-01-0{1 + n % 7}T{hour:02}:00:00Z" for n, hour in enumerate(hours)],
        "since": (1.7e12 + 3.6e6 * hours).tolist(),
        "emb": rng.normal(shift, 1.0, (rows, 70)),
        "customer": [f"c{n}" for n in range(rows)],
        "key": [float(n) for n in range(rows)],
        "old": [1.0] * rows,
        "label": rng.integers(0, 2, rows).astype(float).tolist(),
        "score": rng.beta(2 + 3 * shift, 2, rows).tolist(),
    }  # fmt: skip


def reference() -> Profile:
    data = rows_of(1, rows=4 * ROWS)

    def chunks(wanted: Sequence[Plan]) -> Iterable[Chunk]:
        yield {plan.name: typed(data[plan.name], plan.type, False, plan.unit) for plan in wanted}

    return build_from(PLANS, chunks, ProfileConfig(), None, STATISTICS)


PROFILE = reference()
INPUTS = ("x", "word", "flag", "note", "at", "since", "emb", "customer", "key", "old")


def observed(data: dict[str, Any], names: Sequence[str] = INPUTS, rename: bool = False) -> Observation:
    """As the decoders give it: truth values are words."""
    columns = []
    for place, name in enumerate(names):
        cells, called = data[name], f"input_{place}" if rename else name
        if isinstance(cells, np.ndarray):
            columns.append(Column(called, "vector", cells))
        else:
            words = [str(cell).lower() if isinstance(cell, bool) else cell for cell in cells]
            columns.append(column(words, name=called))
    return Observation("p", len(data["x"]), tuple(columns), (column(data["score"], name="score"),))


def series(profile: Profile = PROFILE) -> Series:
    return Series(Key("m", "1", "p", "exact"), profile, Known(windows=(300.0,)), NOW)


def drifted(made: Series, statistic: str = "psi") -> dict[str, bool]:
    """By column that could be compared, whether it drifted."""
    found_here = {}
    for side in made.state(NOW).sides:
        judged = side.judge.judged(side.layout, side.derived, side.windows)
        result = judged.results[300.0]
        for name in result.columns:
            for drift in result.of(name):
                if drift.statistic == statistic:
                    found_here[name] = drift.exceeds(0.1)
    return found_here


def test_columns_of_every_type_find_their_reference() -> None:
    """Aspects are joined to the payload's columns; what the profile leaves out is neither missing nor extra."""
    made = series()
    made.add(observed(rows_of(2)))
    assert made.flush(NOW) == {}
    compared = drifted(made)
    assert set(compared) == {one.name for one in PROFILE.columns if one.role in ("feature", "prediction")}
    assert not any(compared.values())


def test_shifts_of_every_type_are_drift() -> None:
    """Each type's own aspect tells it."""
    made = series()
    made.add(observed(rows_of(2, 1.0)))
    assert made.flush(NOW) == {}
    moved = {name for name, one in drifted(made).items() if one}
    assert moved >= {"x", "word", "flag", "note:length", "at:hour", "since:hour", "emb:norm", "score"}
    assert not moved & {"at:weekday", "note:script", "note:form", "emb:zeros"}


def test_positions_count_the_columns_that_are_left_out() -> None:
    """A payload without names has the profile's features in its order, identifiers among them."""
    names = [name for name in INPUTS if name not in ("key", "old")]
    made = series()
    made.add(observed(rows_of(2), names, rename=True))
    assert made.flush(NOW) == {}
    assert not any(drifted(made).values())


def test_order_does_not_matter_and_renamed_is_missing_and_extra() -> None:
    """Named columns are found by their names."""
    data = rows_of(2)
    made = series()
    made.add(observed(data, INPUTS[::-1]))
    assert made.flush(NOW) == {}
    data["renamed"] = data["x"]
    made.add(observed(data, ("renamed", *INPUTS[1:])))
    assert made.flush(NOW) == {"missing_column": 1, "extra_column": 1}


def test_effective_rows_are_those_of_requests() -> None:
    """A request of equal rows is worth one row, whatever the type; nulls do not cut rows off from their requests."""
    made = series()
    data = rows_of(2)
    for start in range(0, ROWS, 50):
        one = observed({name: [cells[start]] * 50 for name, cells in data.items()}, ("x", "word"))
        x = one.inputs[0].values.copy()
        if start % 200 == 0:
            x[:] = np.nan
        x = Column("x", "numeric", x, int(np.isnan(x).sum()))
        made.add(Observation("p", 50, (x, one.inputs[1]), ()))
    made.flush(NOW)
    side = made.state(NOW).sides[0]
    view = side.windows[300.0]
    for name in ("x", "word"):
        assert view.rows(name) == ROWS
        assert view.effective_rows(name) == pytest.approx(ROWS / 50)


def test_every_yardstick_is_a_gauge() -> None:
    """All statistics of outputs, with floor, critical value, effective rows, p-values and shares; nothing is NaN."""
    made = series()
    made.add(observed(rows_of(2)))
    made.flush(NOW)
    samples = gauges([made.state(NOW)])
    told = ("m", "1", "score", "", "5m")
    for family in ("model.drift", "model.drift.noise_floor", "model.drift.critical_value"):
        cells = found(samples, family)
        own = {cell[5] for cell in cells if cell[2:4] == ("score", "")}
        assert own == {one.name for one in STATISTICS} | set(LOCATIONS)
    assert found(samples, "model.drift.effective_rows")[*told, "psi", PROFILE.reference, "live"] == ROWS
    assert {cell[5] for cell in found(samples, "model.drift.p_value")} == {"chi_square", "kolmogorov_smirnov"}
    shares = found(samples, "model.drift.drifted_columns")
    assert shares["m", "1", "feature", "5m", "psi", PROFILE.reference, "live"] == 0.0
    assert not any(np.isnan(sample.value) for sample in samples)


def test_states_are_one_of_three() -> None:
    """Too few rows, rows enough, and windows from which large bodies are missing."""
    made = series()
    label = ("m", "1", "", "x", "5m")

    def state(biased: Sequence[float] = ()) -> str:
        cells = found(gauges([made.state(NOW)], biased), "model.window.state")
        (one,) = [name for name in ("ready", "insufficient", "biased") if cells[*label, name, "live"] == 1]
        return one

    assert state() == state((300.0,)) == "insufficient"
    made.add(observed(rows_of(2)))
    made.flush(NOW)
    assert (state(), state((300.0,)), state((60.0,))) == ("ready", "biased", "ready")


def test_level_of_the_reference_is_a_yardstick() -> None:
    """Where the profile has it for a window's length."""
    made = series(replace(PROFILE, levels=(Level("score", "psi", 300, 9, 0.5, 0.25),)))
    made.add(observed(rows_of(2)))
    made.flush(NOW)
    levels = found(gauges([made.state(NOW)]), "model.drift.reference_level")
    assert list(levels.values()) == [1.25]
