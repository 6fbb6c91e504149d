"""Profiles of rows read in two passes: types, aspects, roles, and what is summed besides counts."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from scipy.stats import skew

from exporter.stats import STATISTICS
from exporter.stats.bins import OTHER, CategoricalBins, NumericBins
from exporter.stats.profiles.build import Chunk, ProfileConfig, build_from
from exporter.stats.profiles.privacy import hash_category, key_id
from exporter.stats.profiles.profile import LeftOut, Profile, parse
from exporter.stats.profiles.schema import problems_of
from exporter.stats.profiles.survey import Plan, Survey
from exporter.stats.profiles.tally import Extras
from exporter.stats.profiles.types import typed

RNG = np.random.default_rng(4)
ROWS = 3000


def _profile(
    plans: Sequence[Plan],
    data: dict[str, Any],
    config: ProfileConfig | None = None,
    extras: Extras | None = None,
    step: int = 700,
) -> Profile:
    """Profile of plain lists or arrays, read in parts of `step` rows."""
    length = len(next(iter(data.values())))

    def rows(wanted: Sequence[Plan]) -> Iterable[Chunk]:
        for start in range(0, length, step):
            part = slice(start, start + step)
            yield {p.name: typed(data[p.name][part], p.type, False, p.unit) for p in wanted}

    return build_from(plans, rows, config or ProfileConfig(), extras, STATISTICS)


def _everything() -> tuple[list[Plan], dict[str, Any]]:
    """A column of every type and role."""
    x = RNG.normal(10, 2, ROWS)
    words = RNG.choice(["a", "b", "c"], ROWS, p=[0.6, 0.3, 0.1]).tolist()
    truth = (x > 10).astype(np.float64)
    data = {
        "key": list(range(ROWS)),
        "x": x,
        "y": 2 * x + RNG.normal(size=ROWS),
        "word": words,
        "flag": [bool(v) for v in RNG.integers(0, 2, ROWS)],
        "note": [f"some words number {v} of a text" for v in range(ROWS)],
        "at": [f"2024-01-{1 + i * 20 // ROWS:02}T{i % 24:02}:00:00Z" for i in range(ROWS)],
        "vector": RNG.normal(size=(ROWS, 70)),
        "label": truth,
        "score": np.clip(truth * 0.6 + 0.4 * RNG.random(ROWS), 0, 1),
        "part": ["test" if i % 3 == 0 else "train" for i in range(ROWS)],
        "sex": RNG.choice(["f", "m"], ROWS).tolist(),
    }
    plans = [
        Plan("key", "id", "numeric"),
        Plan("x"),
        Plan("y"),
        Plan("word", type="categorical"),
        Plan("flag", type="boolean"),
        Plan("note", type="text"),
        Plan("at", "time", "datetime"),
        Plan("vector", type="vector"),
        Plan("label", "target"),
        Plan("score", "score"),
        Plan("part", "split", "categorical"),
        Plan("sex", "group", "categorical"),
    ]
    return plans, data


EXTRAS = Extras(time="at", lengths=(3600, 86_400), test=True, split=("part", "test"))


@pytest.fixture(scope="module")
def everything() -> Profile:
    """The profile of all types and roles."""
    return _profile(*_everything(), ProfileConfig("m", task="binary"), EXTRAS)


def test_every_type_has_its_counted_columns(everything: Profile) -> None:
    """Numbers and categories as themselves, the others by their aspects; ids, times and weights not at all."""
    kinds = {column.name: column.type for column in everything.columns}
    assert kinds["x"] == "numeric"
    assert kinds["flag"] == "boolean"
    assert {name for name in kinds if name.startswith("note:")} == {"note:length", "note:script", "note:form"}
    assert {f"vector:{aspect}" for aspect in ("norm", "zeros", "distance", "projection_7")} <= set(kinds)
    assert not {"key", "at", "w", "part", "note", "vector"} & set(kinds)
    assert all(column.rows == ROWS for column in everything.columns)
    assert everything.sources("feature") == ("x", "y", "word", "flag", "note", "vector")
    assert everything.types["note"] == "text"
    assert {left.name for left in everything.left_out} == {"key", "at", "part"}


def test_roles_are_kept(everything: Profile) -> None:
    """A score is counted as a prediction and remembered as a score; groups are counted apart."""
    roles = {column.name: column.role for column in everything.payload}
    assert (roles["score"], roles["sex"], roles["at"], roles["key"]) == ("score", "group", "time", "id")
    assert everything.column("score").role == "prediction"
    assert everything.column("sex").role == "group"
    assert "sex" not in everything.layout().names


def test_moments_and_missing_cells() -> None:
    """Mean, deviation and skewness as numpy and scipy have them; null, NaN and empty apart."""
    values = RNG.gamma(2.0, size=ROWS)
    cells = [
        None if i % 50 == 0 else float("nan") if i % 50 == 1 else v for i, v in enumerate(values.tolist())
    ]
    words = ["" if i % 10 == 0 else None if i % 10 == 1 else "w" for i in range(ROWS)]
    found = _profile([Plan("x"), Plan("w", type="categorical")], {"x": cells, "w": words})
    finite = np.array([cell for cell in cells if cell is not None and cell == cell])
    column = found.column("x")
    assert (column.mean, column.std) == (pytest.approx(finite.mean()), pytest.approx(finite.std()))
    assert column.skewness == pytest.approx(skew(finite))
    x, w = found.payload
    assert (x.null, x.nan, x.empty, x.rows) == (60, 60, 0, ROWS)
    assert (w.null, w.nan, w.empty, w.distinct) == (300, 0, 300, 2)


def test_each_bin_has_the_sum_of_its_values() -> None:
    """What is no ordinary number counts as the nearest edge; special bins sum to nothing."""
    values = np.concatenate((RNG.normal(size=500), [np.inf, -np.inf, 1e308, np.nan]))
    column = _profile([Plan("x")], {"x": values}).column("x")
    assert isinstance(column.bins, NumericBins)
    codes = np.searchsorted(column.bins.edges, values[:500])
    expected = np.bincount(codes, values[:500], column.bins.size)
    expected[0] += column.bins.edges[0]
    expected[column.bins.ranges - 1] += 2 * column.bins.edges[-1]
    assert column.sums == pytest.approx(expected)
    assert column.sums[column.bins.null :] == (0.0, 0.0)


def test_parts_do_not_matter() -> None:
    """However the rows are cut: the same bins, counts and sketches."""
    plans, data = _everything()
    whole = _profile(plans, data, None, EXTRAS, step=ROWS)
    cut = _profile(plans, data, None, EXTRAS, step=77)
    assert [c.bins for c in whole.columns if c.source != "vector"] == [
        c.bins for c in cut.columns if c.source != "vector"
    ]
    assert [c.counts for c in whole.columns if c.source != "vector"] == [
        c.counts for c in cut.columns if c.source != "vector"
    ]
    assert [c.distinct for c in whole.payload] == [c.distinct for c in cut.payload]
    assert [(p.a, p.b, p.n) for p in whole.pairs] == [(p.a, p.b, p.n) for p in cut.pairs]


def test_the_file_says_all_of_it(everything: Profile) -> None:
    """What is written is read back, with its hash, and has no problems."""
    again = parse(everything.to_json().encode())
    assert again == everything
    assert again.sha256 == everything.sha256
    assert again.task == "binary"


def test_pairs_precision_and_associations(everything: Profile) -> None:
    """The strongest pair is the one that was made; the score goes with what made it."""
    first = everything.pairs[0]
    assert (first.a, first.b) == ("x", "y")
    assert first.correlation is not None
    assert first.correlation > 0.9
    assert everything.precision is not None
    assert everything.precision.names == ("x", "y")
    strength = {one.feature: one.cramer for one in everything.associations}
    assert strength["x"] > 0.3 > strength["word"]


def test_chosen_pairs_replace_the_strongest() -> None:
    """Only what was asked for."""
    data = {name: RNG.normal(size=200) for name in "abc"}
    config = ProfileConfig(pairs=(("a", "c"),))
    assert [(p.a, p.b) for p in _profile([Plan(n) for n in "abc"], data, config).pairs] == [("a", "c")]


def test_levels_of_periods(everything: Profile) -> None:
    """Twenty days have a level; the hours have too few rows for most columns."""
    hours, days = everything.periods
    assert hours.periods == 480
    assert (days.periods, days.absent) == (20, "")
    assert everything.level("x", "psi", 86_400) is not None
    assert everything.level("x", "psi", 3600) is None


def test_performance_is_of_declared_rows_only(everything: Profile) -> None:
    """A third of the rows is declared; predictions are not compared with targets elsewhere."""
    assert everything.performance is not None
    assert everything.performance.rows == 1000
    assert everything.performance.calibration is not None
    plans, data = _everything()
    assert _profile(plans, data).performance is None


def test_hashed_categories() -> None:
    """Features and groups have hashes for names and the same counts; answers stay readable."""
    data = {"word": ["a"] * 60 + ["b"] * 40, "answer": ["yes"] * 50 + ["no"] * 50}
    plans = [Plan("word", type="categorical"), Plan("answer", "prediction", "categorical")]
    found = _profile(plans, data, ProfileConfig(hash_key=b"secret"))
    assert found.column("word").bins.labels[:2] == (
        hash_category("a", b"secret"),
        hash_category("b", b"secret"),
    )
    assert found.column("word").counts[:2] == (60, 40)
    assert found.column("answer").bins.labels[:2] == ("no", "yes")
    assert found.hashing is not None
    assert found.hashing.key_id == key_id(b"secret")
    assert [column.hashed for column in found.payload] == [True, False]
    assert '"a"' not in found.to_json().replace('"a": ', "")


def test_edges_of_an_earlier_profile_are_kept() -> None:
    """Columns it has keep their bins, new ones get their own, and a column of another kind does too."""
    before = _profile(
        [Plan("x"), Plan("w", type="categorical")], {"x": np.arange(500.0) / 7, "w": ["a", "b"] * 250}
    )
    data = {"x": RNG.normal(40, 5, 900), "w": np.arange(900.0) % 30 / 7, "new": RNG.normal(size=900)}
    after = _profile([Plan(name) for name in data], data, ProfileConfig(edges_from=before))
    assert after.column("x").bins == before.column("x").bins
    assert after.column("x").rows == 900
    assert isinstance(after.column("w").bins, NumericBins)
    assert after.column("new").bins.size == 12


def test_a_centroid_of_an_earlier_profile_is_kept() -> None:
    """Distances are only comparable from the same centre."""
    before = _profile([Plan("v", type="vector")], {"v": RNG.normal(size=(100, 70))})
    after = _profile(
        [Plan("v", type="vector")], {"v": RNG.normal(1, size=(100, 70))}, ProfileConfig(edges_from=before)
    )
    assert after.payload[0].centroid == before.payload[0].centroid
    assert (after.payload[0].width, len(after.payload[0].centroid)) == (70, 70)
    assert after.column("v:distance").mean > before.column("v:distance").mean  # type: ignore[operator]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.arange(100.0), "identifier: 100 distinct whole numbers in 100 rows"),
        (np.arange(3000.0) // 10, "identifier: whole numbers that never fall from row to row"),
        (-(np.arange(3000.0) // 10), "identifier: whole numbers that never rise from row to row"),
    ],
)
def test_identifiers_leave_drift(values: np.ndarray, reason: str) -> None:
    """Mostly distinct or monotone whole numbers are named, and typed so."""
    found = _profile([Plan("n"), Plan("m")], {"n": values, "m": np.tile([0.5, 1.5], len(values) // 2)})
    assert found.left_out == (LeftOut("n", reason),)
    assert found.types["n"] == "identifier"


def test_monotone_columns_that_are_none() -> None:
    """Few values, real numbers, and what a user named are kept."""
    data = {"few": np.arange(300.0) // 20, "real": np.arange(300.0) / 7, "named": np.arange(300.0)}
    plans = [Plan("few"), Plan("real"), Plan("named", keep=True)]
    assert _profile(plans, data).names == ("few", "real", "named")


def test_personal_columns_are_left_out() -> None:
    """E-mail addresses with many rows each would be categories; a declared type keeps them."""
    mails = [f"{name}@example.org" for name in "abc" for _ in range(20)]
    found = _profile([Plan("contact", type="categorical")], {"contact": mails})
    assert "looks like e-mail addresses" in found.left_out[0].reason
    kept = _profile([Plan("contact", type="categorical", private=False)], {"contact": mails})
    assert kept.column("contact").bins.labels[0] == "a@example.org"


def test_free_text_leaves_no_word_behind() -> None:
    """Only lengths, scripts and forms of a text are in the file."""
    found = _profile([Plan("note", type="text")], {"note": ["the secret word is swordfish"] * 100})
    assert "swordfish" not in found.to_json()
    assert found.column("note:script").counts[0] == 100


def test_duplicate_rows_are_a_share() -> None:
    """Rows whose features repeat an earlier row; targets do not matter."""
    data = {"x": np.tile(np.arange(50.0) + 0.5, 4), "y": np.arange(200.0)}
    assert _profile([Plan("x"), Plan("y", "target")], data).duplicates == pytest.approx(0.75)
    assert _profile([Plan("y", "target")], data).duplicates is None


def test_beyond_the_sample_edges_are_close_and_counts_exact() -> None:
    """A sample of 1,000 rows puts each decile within three standard errors of its rank."""
    values = RNG.normal(size=40_000)
    survey = Survey([Plan("x")], limit=1000)
    for part in np.array_split(values, 9):
        survey.update({"x": typed(part, "numeric", False)})
    edges = np.quantile(survey.finite("x"), np.arange(1, 10) / 10)
    ranks = np.searchsorted(np.sort(values), edges) / len(values)
    assert np.abs(ranks - np.arange(1, 10) / 10).max() < 3 * 0.5 / np.sqrt(1000)


def test_more_categories_than_are_remembered() -> None:
    """Rare texts by the thousand are pooled, and the frequent ones counted exactly."""
    words = [f"rare{i}" for i in range(9000)] + ["often"] * 3000
    order = RNG.permutation(len(words))
    found = _profile([Plan("w", type="categorical")], {"w": [words[i] for i in order]})
    assert found.column("w").bins == CategoricalBins(("often",), OTHER)
    assert found.column("w").counts == (3000, 9000, 0)


def test_an_aspect_does_not_take_the_place_of_a_column() -> None:
    """A payload column with an aspect's name: the first of the two is counted, the other named."""
    data = {"t": ["one two three four five six"] * 30, "t:length": np.arange(30.0) / 7}
    found = _profile([Plan("t", type="text"), Plan("t:length")], data)
    assert found.names == ("t:length", "t:script", "t:form")
    assert found.left_out[0].name == "t:length"


def test_ragged_tables_are_each_a_problem(everything: Profile) -> None:
    """Parts that are well formed each, and do not fit together."""
    import json

    document = json.loads(everything.to_json())
    document["source"] = "rumour"
    document["payload"][1]["type"] = "colour"
    document["payload"][1]["name"] = "key"
    document["pairs"][0]["a"] = "absent"
    document["precision"]["matrix"].pop()
    document["precision"]["scale"][0] = 0
    document["performance"]["calibration"]["n"].pop()
    found = problems_of(document)
    for part in (
        "source: 'rumour'",
        "payload[1].type: 'colour'",
        "'key' appears 2 times",
        "pairs[0].a: 'absent'",
    ):
        assert any(part in problem for problem in found), part
    for part in (
        "precision: mean, scale and matrix",
        "precision.scale",
        "performance.calibration",
        "no payload column",
    ):
        assert any(part in problem for problem in found), part
    document["levels"][0]["mean"] = "high"
    del document["performance"]["rows"]
    assert "levels[0].mean: 'high', expected a finite number" in problems_of(document)
    assert "performance.rows: missing" in problems_of(document)


def test_a_profile_of_schema_1_keeps_its_hash() -> None:
    """It is read, has no payload, and is written as it was."""
    old = dataclasses.replace(_profile([Plan("x")], {"x": np.arange(90.0) / 7}), schema=1)
    text = old.to_json()
    assert '"payload"' not in text
    again = parse(text.encode())
    assert again.sha256 == old.sha256
    assert again.types == {"x": "numeric"}
