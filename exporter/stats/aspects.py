"""Aspects: a column of texts, vectors or times -> columns of numbers and categories, which bins can count.

A raw text or a place of an embedding means nothing by itself, and may not be kept; what is kept of them is here.
Refuses to know models and bins. Invariants: as many values per aspect as there are cells; the same cells give the
same aspects on every replica and with every numpy, so that their bins add up; nothing in a cell raises.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

PROJECTIONS: Final = 8
SCRIPTS: Final = frozenset(
    [
        "arabic",
        "armenian",
        "bengali",
        "cjk",
        "cyrillic",
        "devanagari",
        "ethiopic",
        "georgian",
        "greek",
        "gujarati",
        "gurmukhi",
        "hangul",
        "hebrew",
        "hiragana",
        "kannada",
        "katakana",
        "khmer",
        "lao",
        "latin",
        "malayalam",
        "myanmar",
        "sinhala",
        "tamil",
        "telugu",
        "thai",
        "tibetan",
    ]
)
ASPECTS: Final[dict[str, tuple[str, ...]]] = {
    "text": ("length", "script", "form"),
    "vector": ("norm", "zeros", "distance", *(f"projection_{place}" for place in range(PROJECTIONS))),
    "datetime": ("hour", "weekday"),
    "image": ("format", "width", "height", "bytes", "brightness", "contrast"),
}
MAX_PROJECTED: Final = 1 << 14  # places; the directions of wider vectors, pixels mostly, would take megabytes
_TOGETHER: Final = 1 << 20  # values of vectors that are looked at together
_LOOKED_AT: Final = 256  # characters of a text by which its script is told
_WEEKDAYS: Final = np.array(
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"], object
)
_SEED: Final = 20261  # of the projections; fixed for good


def aspect_name(column: str, aspect: str) -> str:
    """The name under which an aspect of a column is counted."""
    return f"{column}:{aspect}"


def text_aspects(texts: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """`length` in characters (float64), `script` and `form` (objects of str) of texts; None where a cell is None.

    `script` is that of most letters among the first 256 characters: a word of SCRIPTS, `other`, or `none` without
    letters. `form` is `empty` (nothing but white space), `invalid` (U+FFFD, a lone surrogate, or a control character
    other than tab and line ends), or `valid`. The length of None is NaN.
    """
    cells = texts.tolist()
    lengths = np.array([np.nan if cell is None else len(cell) for cell in cells], np.float64)
    scripts = np.array([None if cell is None else _script(cell) for cell in cells], object)
    forms = np.array([None if cell is None else _form(cell) for cell in cells], object)
    return {"length": lengths, "script": scripts, "form": forms}


def vector_aspects(
    vectors: NDArray[np.floating[Any]], centroid: NDArray[np.float64] | None = None
) -> dict[str, NDArray[np.float64]]:
    """Aspects of vectors, shape (rows, width): float64, shape (rows,).

    `norm` is the Euclidean norm, `zeros` the share of zeros in [0, 1], `projection_0` … `projection_7` the places on
    eight fixed random directions of unit length (Johnson–Lindenstrauss; they depend on the width alone; none for a
    width over MAX_PROJECTED), and, where `centroid` of shape (width,) is given, `distance` the Euclidean distance to
    it. ValueError for another width.
    """
    rows = max(1, _TOGETHER // max(1, vectors.shape[1]))
    if len(vectors) <= rows:
        return _vectors(np.asarray(vectors, np.float64), centroid)
    # As 64-bit numbers many at once would take several times their own memory, and the caches with it.
    parts = [
        _vectors(np.asarray(vectors[at : at + rows], np.float64), centroid)
        for at in range(0, len(vectors), rows)
    ]
    return {aspect: np.concatenate([part[aspect] for part in parts]) for aspect in parts[0]}


def _vectors(
    table: NDArray[np.float64], centroid: NDArray[np.float64] | None
) -> dict[str, NDArray[np.float64]]:
    rows, width = table.shape
    with np.errstate(over="ignore", invalid="ignore"):
        found = {
            "norm": np.sqrt(np.einsum("ij,ij->i", table, table)),
            "zeros": (table == 0.0).mean(axis=1) if width else np.zeros(rows),
        }
        if centroid is not None:
            if centroid.shape != (width,):
                raise ValueError(f"a centroid of {width} values expected, got shape {centroid.shape}")
            found["distance"] = np.sqrt(np.square(table - centroid).sum(axis=1))
        places = table @ directions(width) if width <= MAX_PROJECTED else np.empty((rows, 0))
    return found | {f"projection_{place}": places[:, place] for place in range(places.shape[1])}


@lru_cache(maxsize=16)
def directions(width: int) -> NDArray[np.float64]:
    """Eight unit vectors of that width as columns, shape (width, 8); read-only.

    RandomState and not Generator: its stream is frozen, and replicas may run different numpy versions.
    """
    drawn = np.random.RandomState(_SEED).standard_normal((PROJECTIONS, width)).T
    lengths = np.sqrt(np.square(drawn).sum(axis=0))
    unit: NDArray[np.float64] = drawn / np.where(lengths > 0.0, lengths, 1.0)
    unit.setflags(write=False)
    return unit


def datetime_aspects(seconds: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """`hour` ("0" … "23") and `weekday` ("monday" …) in UTC of unix seconds; objects of str, None for no finite time.

    The time itself always moves on, so it has no place in a comparison with a reference.
    """
    finite = np.isfinite(seconds) & (np.abs(seconds) < 1e12)
    whole = np.where(finite, seconds, 0.0)
    hours = np.floor_divide(whole, 3600.0).astype(np.int64)
    days = hours // 24
    hour = np.array([str(value) for value in (hours % 24).tolist()], object)
    weekday = _WEEKDAYS[(days + 3) % 7]  # 1970-01-01 was a Thursday
    hour[~finite] = None
    weekday[~finite] = None
    return {"hour": hour, "weekday": weekday}


def _form(text: str) -> str:
    if not text.strip():
        return "empty"
    if text.isprintable():
        return "invalid" if "\ufffd" in text else "valid"
    return "invalid" if any(map(_is_wrong, set(text))) else "valid"


def _is_wrong(character: str) -> bool:
    return character == "\ufffd" or (
        character not in "\t\n\r" and unicodedata.category(character) in ("Cc", "Cs", "Cn")
    )


def _script(text: str) -> str:
    looked_at = text[:_LOOKED_AT]
    if looked_at.isascii():
        return "latin" if any(map(str.isalpha, looked_at)) else "none"
    counts: dict[str, int] = {}
    for character in looked_at:
        script = _script_of(character)
        if script:
            counts[script] = counts.get(script, 0) + 1
    # Of two with as many letters, the first in the alphabet: replicas must agree.
    return min(counts, key=lambda script: (-counts[script], script)) if counts else "none"


@lru_cache(maxsize=4096)
def _script_of(character: str) -> str:
    """The script of a letter, "" for anything else. The first word of a letter's name is its script."""
    if not character.isalpha():
        return ""
    word = unicodedata.name(character, "").partition(" ")[0].lower()
    return word if word in SCRIPTS else "other"
