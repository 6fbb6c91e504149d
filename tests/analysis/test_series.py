"""series.py: what one model version counts, whatever kinds the traffic has."""

from typing import Any

import msgspec
import numpy as np
import pytest

from exporter.analysis.columns import MAX_COLUMNS
from exporter.analysis.known import Known
from exporter.analysis.series import Key, Series
from exporter.analysis.side import MAX_UNPROFILED
from exporter.records.observation import Column, Observation
from exporter.stats import Profile
from exporter.stats.profiles.build import Column as Data
from exporter.stats.profiles.build import ProfileConfig, build
from tests.analysis.world import NOW, column, profile

INPUTS, OUTPUTS = 0, 1
KEY = Key("m", "1", "kserve_v1", "none")


def series(reference: Profile | None = None) -> Series:
    return Series(KEY, reference, Known(windows=(300.0,)), NOW)


def observed(inputs: dict[str, list[Any]], outputs: dict[str, list[Any]]) -> Observation:
    columns = [tuple(_column(name, values) for name, values in side.items()) for side in (inputs, outputs)]
    return Observation("kserve_v1", 1, *columns)


def _column(name: str, values: list[Any]) -> Column:
    nulls = sum(value is None for value in values)
    if all(value is None or isinstance(value, float) for value in values):
        return Column(name, "numeric", np.array(values, np.float64), nulls)
    return column(values, nulls, name)


def counted(made: Series, side: int, name: str) -> dict[str, int]:
    state = made.state().sides[side]
    labels = state.layout.column(name).bins.labels
    return {k: v for k, v in zip(labels, state.totals.counts(name).tolist(), strict=True) if v}


def test_nulls_are_counted_once() -> None:
    """A JSON null is one cell in <null>, in numbers and in texts."""
    made = series()
    made.add(observed({"n": [1.0, None], "t": ["a", None, "b"]}, {"y": [0.5]}))
    made.flush(NOW)
    assert counted(made, INPUTS, "n") == {"1.0": 1, "<null>": 1}
    assert counted(made, INPUTS, "t") == {"a": 1, "b": 1, "<null>": 1}


def test_numeric_profile_takes_classes_as_numbers_and_as_classes() -> None:
    """Integer classes against value bins fall into those bins, count as classes, and are no misfit."""
    made = series(profile())
    made.add(observed({"age": [40.0], "city": ["rome"]}, {"label": ["0", "2", "2"]}))
    assert made.flush(NOW) == {}
    assert sum(counted(made, OUTPUTS, "label").values()) == 3
    bins = made.state().sides[OUTPUTS].layout.column("label").bins
    direct = bins.count(np.array([0.0, 2.0, 2.0]))
    assert made.state().sides[OUTPUTS].totals.counts("label").tolist() == direct.tolist()
    assert made.state().classes == {("label", "0"): 1, ("label", "2"): 2}


def test_categorical_profile_takes_numbers_as_texts() -> None:
    """Numbers against categories count in the category that writes them; nothing raises."""
    codes = np.array(["0", "1", "2"] * 50, object)
    made = series(build({"label": Data(codes, "prediction")}, ProfileConfig()))
    made.add(observed({}, {"label": [0.0, 1.0, 1.0, 0.25]}))
    assert made.flush(NOW) == {}
    assert counted(made, OUTPUTS, "label") == {"0": 1, "1": 2, "<unseen>": 1}
    assert made.state().classes == {("label", ""): 4}


def test_text_that_is_no_number_is_a_wrong_type_of_its_exchange_only() -> None:
    """Only exchanges with such a cell are counted, and the other cells of the batch are kept."""
    made = series(profile())
    for label in (["0"], ["x"], ["1", "y"], ["2"]):
        made.add(observed({"age": [40.0], "city": ["rome"]}, {"label": label}))
    assert made.flush(NOW) == {"wrong_type": 2}
    assert sum(counted(made, OUTPUTS, "label").values()) == 3


def test_kind_without_profile_is_fixed_by_first_sight() -> None:
    """Numbers first: a later `1` is a number. Classes first: later numbers are categories, and misfits."""
    numbers, classes = series(), series()
    numbers.add(observed({}, {"y": [0.5]}))
    numbers.add(observed({}, {"y": ["1"]}))
    assert numbers.flush(NOW) == {}
    assert sum(counted(numbers, OUTPUTS, "y").values()) == 2
    assert numbers.state().classes == {("y", ""): 2}
    classes.add(observed({}, {"y": ["1"]}))
    classes.flush(NOW)
    classes.add(observed({}, {"y": [0.5]}))
    assert classes.flush(NOW) == {"wrong_type": 1}
    assert counted(classes, OUTPUTS, "y") == {"1": 1, "0.5": 1}


def test_columns_that_do_not_fit_are_counted_by_exchange() -> None:
    """Missing and extra columns are counted once per exchange and reason; fitting ones are still counted."""
    made = series(profile())
    made.add(observed({"age": [1.0], "city": ["rome"], "more": [1.0]}, {"label": ["1"]}))
    made.add(observed({"age": [1.0], "other": [1.0]}, {"label": ["1"]}))
    made.add(observed({"age": [1.0], "city": ["rome"]}, {"label": ["1"]}))
    assert made.flush(NOW) == {"extra_column": 2, "missing_column": 1}
    assert sum(counted(made, INPUTS, "age").values()) == 3


def test_positional_columns_take_the_profiles_names() -> None:
    """As many columns as the profile has, none of them known by name: they are in the profile's order."""
    made = series(profile())
    made.add(observed({"input_0": [40.0], "input_1": ["rome"]}, {"predict": ["1"]}))
    assert made.flush(NOW) == {}
    assert counted(made, INPUTS, "city") == {"rome": 1}
    assert made.state().classes == {("label", "1"): 1}


def test_side_without_profiled_columns_is_counted_without_a_reference() -> None:
    """A profile of features alone leaves predictions to the fixed bins."""
    made = series(build({"age": Data(np.arange(100.0) % 37 + 0.5)}, ProfileConfig()))
    made.add(observed({"age": [1.0]}, {"y": [0.5]}))
    assert made.flush(NOW) == {}
    inputs, outputs = made.state().sides
    assert (outputs.reference("y"), inputs.reference("age") != "") == ("", True)
    assert sum(counted(made, OUTPUTS, "y").values()) == 1


def test_columns_without_profile_are_bounded() -> None:
    """However many names the traffic brings, the first ones are kept and counted on."""
    made = series()
    for start in range(0, 400, 10):
        made.add(observed({f"f{n}": [1.0] for n in range(start, start + 10)}, {"y": [1.0]}))
        made.flush(NOW)
    made.add(observed({"f0": [1.0], "f399": [1.0]}, {"y": [1.0]}))
    made.flush(NOW)
    assert made.state().sides[INPUTS].layout.names == tuple(f"f{n}" for n in range(MAX_UNPROFILED))
    assert sum(counted(made, INPUTS, "f0").values()) == 2


def test_columns_of_a_profile_are_bounded() -> None:
    """Of a wide profile the first columns are counted; the others are no misfits."""
    names = [f"f{n}" for n in range(MAX_COLUMNS + 20)]
    rng = np.random.default_rng(1)
    made = series(build({name: Data(rng.normal(size=50)) for name in names}, ProfileConfig()))
    made.add(observed({name: [0.0] for name in names}, {}))
    assert made.flush(NOW) == {}
    assert made.state().sides[INPUTS].layout.names == tuple(names[:MAX_COLUMNS])


def test_vector_where_the_profile_has_columns_is_missing_columns() -> None:
    """A wide unnamed vector has no columns: against a profile all are missing."""
    made = series(profile())
    made.add(observed({}, {"label": ["1"]}))
    assert made.flush(NOW) == {"missing_column": 1}


@pytest.mark.parametrize("seed", range(5))
def test_any_sequence_of_kinds_is_counted_in_full(seed: int) -> None:
    """Whatever kinds come in whatever order, nothing raises and every cell is counted or in a misfit."""
    rng = np.random.default_rng(seed)
    makers: list[list[Any]] = [[0.5], ["1"], ["x"], [None], [float("nan")], [float("inf")], [1e308], [""], []]
    for reference in (None, profile(), profile(label="texts")):
        made = series(reference)
        cells = 0
        for _ in range(30):
            values = makers[int(rng.integers(len(makers)))]
            cells += len(values)
            made.add(observed({"age": values, "city": values}, {"label": values}))
            if rng.random() < 0.3:
                made.flush(NOW)
        made.flush(NOW)
        assert sum(made.state().classes.values()) == cells
        assert sum(counted(made, INPUTS, "city").values()) <= cells


def test_batches_count_as_one_by_one() -> None:
    """Flushing after each exchange and after all of them gives the same counts."""
    one, all_of_them = series(profile()), series(profile())
    rng = np.random.default_rng(3)
    for _ in range(50):
        each = observed(
            {"age": [float(rng.normal(40, 10))], "city": ["rome"]}, {"label": [str(rng.integers(3))]}
        )
        one.add(each)
        one.flush(NOW)
        all_of_them.add(each)
    all_of_them.flush(NOW)
    for a, b in zip(one.state(NOW).sides, all_of_them.state(NOW).sides, strict=True):
        assert a.totals.flat.tolist() == b.totals.flat.tolist()
        assert a.windows[300.0].flat.tolist() == b.windows[300.0].flat.tolist()
        assert [pytest.approx(sums) for sums in a.signed.values()] == list(b.signed.values())


def test_state_is_a_copy() -> None:
    """What is counted later does not show in a copy made before."""
    made = series()
    made.add(observed({}, {"y": ["a"]}))
    made.flush(NOW)
    before = made.state(NOW)
    made.add(observed({}, {"y": ["a"]}))
    made.flush(NOW)
    assert before.classes == {("y", "a"): 1}
    assert before.sides[OUTPUTS].totals.rows("y") == before.sides[OUTPUTS].windows[300.0].rows("y") == 1


def test_rows_of_the_past_are_not_of_the_window() -> None:
    """What was pushed with a time counts in the totals, and in the window only if that reaches back so far."""
    made = series()
    for age in (0.0, 60.0, 4000.0):
        one = observed({"n": [1.0]}, {"y": ["a"]})
        made.add(msgspec.structs.replace(one, time=NOW - age if age else 0.0))
    made.flush(NOW)
    state = made.state(NOW)
    assert [side.totals.rows(name) for side, name in zip(state.sides, ("n", "y"), strict=True)] == [3, 3]
    assert [side.windows[300.0].rows(name) for side, name in zip(state.sides, ("n", "y"), strict=True)] == [
        2,
        2,
    ]
    assert state.classes == {("y", "a"): 3}


def test_vectors_and_times_are_counted_by_aspects() -> None:
    """A vector has norm, zeros and eight places, a time hour and weekday, all hours among its bins."""
    made = series()
    table = np.ones((2, 70))
    whole = (Column("emb", "vector", table), column(["2024-02-29T05:00", "2024-03-01T05:00"], name="at"))
    made.add(Observation("kserve_v1", 2, whole, ()))
    assert made.flush(NOW) == {}
    names = made.state().sides[INPUTS].layout.names
    assert set(names) == {
        "emb:norm",
        "emb:zeros",
        *(f"emb:projection_{n}" for n in range(8)),
        "at:hour",
        "at:weekday",
    }
    assert counted(made, INPUTS, "at:hour") == {"5": 2}
    assert counted(made, INPUTS, "at:weekday") == {"thursday": 1, "friday": 1}
    assert sum(counted(made, INPUTS, "emb:norm").values()) == 2
    assert made.state().sides[INPUTS].layout.column("at:hour").bins.size == 26


def test_a_column_of_several_aspects_needs_room_for_all() -> None:
    """Over the bound a vector is left out whole; a narrower column behind it may still fit."""
    made = series()
    many = tuple(column([1.0], name=f"f{n}") for n in range(MAX_UNPROFILED - 5))
    made.add(
        Observation(
            "p", 1, (*many, Column("emb", "vector", np.ones((1, 70))), column([1.0], name="last")), ()
        )
    )
    made.flush(NOW)
    names = made.state().sides[INPUTS].layout.names
    assert names == (*(one.name for one in many), "last")


def test_wide_rows_take_the_profiles_names() -> None:
    """A vector of as many places as the profile has features is those features."""
    names = [f"f{n}" for n in range(80)]
    rng = np.random.default_rng(1)
    made = series(build({name: Data(rng.normal(size=50)) for name in names}, ProfileConfig()))
    table = rng.normal(size=(3, 80))
    table[1] = np.nan
    made.add(Observation("p", 3, (Column("input", "vector", table, 1),), ()))
    assert made.flush(NOW) == {}
    assert counted(made, INPUTS, "f79")["<null>"] == 1
    assert sum(counted(made, INPUTS, "f0").values()) == 3
    made.add(Observation("p", 1, (Column("input", "vector", np.ones((1, 81))),), ()))
    assert made.flush(NOW) == {"missing_column": 1, "extra_column": 1}


def test_rows_of_a_batch() -> None:
    """Exchanges by the number of their rows, those of none too."""
    made = series()
    for rows in (0, 1, 2, 3, 5000):
        made.add(Observation("p", rows, (), ()))
    made.flush(NOW)
    state = made.state()
    assert state.batches[:4] == (2, 1, 1, 0)
    assert state.batches[-1] == 1
    assert (sum(state.batches), state.rows) == (5, 5006)


def test_payload_columns_win_over_derived_ones() -> None:
    """An output called like a derived column is the payload's if it was there first; nothing is counted as both."""
    made = Series(KEY, None, Known(windows=(300.0,), task="binary"), NOW)
    made.add(observed({}, {"p": [0.9]}))
    made.flush(NOW)
    made.add(observed({}, {"p": [0.9], "confidence": [0.25]}))
    made.flush(NOW)
    assert made.state().sides[OUTPUTS].layout.names == ("p", "confidence", "margin", "entropy")
    assert sum(counted(made, OUTPUTS, "confidence").values()) == 1
    other = Series(KEY, None, Known(windows=(300.0,), task="binary"), NOW)
    other.add(observed({}, {"p": [0.9], "confidence": ["high"]}))
    other.add(observed({}, {"p": [0.9]}))
    other.flush(NOW)
    side = other.state().sides[OUTPUTS]
    assert (side.layout.names, side.derived) == (
        ("p", "confidence", "margin", "entropy"),
        {"margin", "entropy"},
    )
    assert counted(other, OUTPUTS, "confidence") == {"high": 1}


def test_derived_columns_have_no_reference_beside_profiled_ones() -> None:
    """They are counted with the profile's outputs and compared with nothing."""
    made = Series(KEY, profile(), Known(windows=(300.0,), task="multiclass"), NOW)
    made.add(observed({"age": [1.0], "city": ["rome"]}, {"a": [0.5], "b": [0.25], "c": [0.25]}))
    assert made.flush(NOW) == {"missing_column": 1, "extra_column": 1}
    side = made.state(NOW).sides[OUTPUTS]
    assert side.layout.names == ("label", "confidence", "margin", "entropy")
    assert (side.reference("confidence"), side.reference("label")) == ("", profile().reference)
    assert side.profiled("confidence") is None
