"""Aspects of texts, vectors and times."""

import datetime

import numpy as np
import pytest

from exporter.stats.aspects import ASPECTS, datetime_aspects, directions, text_aspects, vector_aspects

TEXTS = [
    ("hello world", 11, "latin", "valid"),
    ("  \n", 3, "none", "empty"),
    ("", 0, "none", "empty"),
    ("Привет, мир abc", 15, "cyrillic", "valid"),
    ("日本語", 3, "cjk", "valid"),
    ("12345", 5, "none", "valid"),
    ("caf\ufffd", 4, "latin", "invalid"),
    ("a\x00b", 3, "latin", "invalid"),
    ("tab\tand\nline", 12, "latin", "valid"),
    ("\ud800", 1, "none", "invalid"),
    ("αβ ab", 5, "greek", "valid"),
]


@pytest.mark.parametrize(("text", "length", "script", "form"), TEXTS)
def test_text(text: str, length: int, script: str, form: str) -> None:
    """Length, script and form of one text."""
    found = text_aspects(np.array([text], object))
    assert tuple(found) == ASPECTS["text"]
    assert (found["length"][0], found["script"][0], found["form"][0]) == (length, script, form)


def test_null_text_has_no_aspects() -> None:
    """None stays a null in every aspect."""
    found = text_aspects(np.array([None], object))
    assert np.isnan(found["length"][0]) and found["script"][0] is None and found["form"][0] is None


def test_vectors_against_numpy() -> None:
    """Norm, share of zeros, distance and projections equal linear algebra's."""
    table = np.random.default_rng(1).normal(size=(50, 96))
    table[:, :24] = 0.0
    centroid = np.full(96, 0.5)
    found = vector_aspects(table, centroid)
    assert tuple(sorted(found)) == tuple(sorted(ASPECTS["vector"]))
    np.testing.assert_allclose(found["norm"], np.linalg.norm(table, axis=1))
    np.testing.assert_allclose(found["zeros"], 0.25)
    np.testing.assert_allclose(found["distance"], np.linalg.norm(table - centroid, axis=1))
    for place in range(8):
        np.testing.assert_allclose(found[f"projection_{place}"], table @ directions(96)[:, place])


def test_directions_are_the_same_everywhere() -> None:
    """Unit vectors whose values are fixed for good: replicas' bins must add up."""
    np.testing.assert_allclose(np.linalg.norm(directions(128), axis=0), 1.0)
    np.testing.assert_allclose(directions(4)[0, :3], [0.2505806952, -0.5627988658, 0.4109115144], rtol=1e-9)
    assert directions(128) is directions(128) and not directions(128).flags.writeable


def test_vectors_without_finite_values_raise_nothing() -> None:
    """NaN and infinity pass through; an empty table has no rows."""
    assert np.isnan(vector_aspects(np.full((1, 70), np.nan))["norm"][0])
    assert vector_aspects(np.zeros((0, 70)))["norm"].shape == (0,)


def test_centroid_of_another_width() -> None:
    """Is refused."""
    with pytest.raises(ValueError, match="centroid"):
        vector_aspects(np.zeros((1, 3)), np.zeros(4))


def test_datetime_against_the_standard_library() -> None:
    """Hour and weekday in UTC, before 1970 too."""
    seconds = np.array([0.0, -1.0, 1_700_000_000.5, 1e11, -1e9])
    found = datetime_aspects(seconds)
    for place, value in enumerate(seconds):
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=float(value))
        assert found["hour"][place] == str(moment.hour)
        assert found["weekday"][place] == f"{moment:%A}".lower()
    assert datetime_aspects(np.array([np.nan, np.inf, 1e300]))["hour"].tolist() == [None] * 3


def test_many_vectors_are_as_few() -> None:
    """Those that are too many to be looked at together have the aspects that each has alone, halves too."""
    table = np.random.default_rng(3).normal(0, 1, (1500, 1024)).astype(np.float16)
    centroid = np.linspace(-1.0, 1.0, 1024)
    whole = vector_aspects(table, centroid)
    for aspect, values in whole.items():
        assert values.shape == (1500,)
        for row in (0, 1023, 1024, 1499):
            alone = vector_aspects(table[row : row + 1].astype(np.float64), centroid)[aspect][0]
            assert values[row] == pytest.approx(alone, rel=1e-12, abs=1e-12)
