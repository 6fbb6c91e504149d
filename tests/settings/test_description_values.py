"""Settings of what a model is made of: what is read, and what is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from exporter.records.threshold import Threshold
from exporter.settings import description_values as values

D = "ab" * 32


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/a", ("/a", "")),
        (f"/a=sha256:{D.upper()}", ("/a", D)),
        ("/a=b/c", ("/a=b/c", "")),
        (f"/x=sha256:{D}=sha256:{D}", (f"/x=sha256:{D}", D)),
        ("a", ("", "")),
        ("/a\0", ("", "")),
    ],
)
def test_split(text: str, found: tuple[str, str]) -> None:
    """Path and digest; a path may have any character but NUL."""
    assert values.split(text) == found


@pytest.mark.parametrize(
    ("parse", "value"),
    [
        (values.artifacts, "a"),
        (values.artifacts, "/a=sha256:12"),
        (values.artifacts, 3),
        (values.artifacts, ["/a"] * 65),
        (values.places, "a"),
        (values.places, ["/a\0"]),
        (values.thresholds, "{"),
        (values.thresholds, {}),
        (values.thresholds, [{}]),
    ],
)
def test_bad_input(parse: Callable[[Any], object], value: Any) -> None:
    """What was expected is said."""
    with pytest.raises(ValueError, match="expected"):
        parse(value)


def test_thresholds() -> None:
    """JSON on the command line, a list in a file, or what was read already."""
    one = (Threshold("a", 0.5),)
    assert values.thresholds('[{"name": "a", "value": 0.5}]') == one
    assert values.thresholds([{"name": "a", "value": "0.5"}]) == values.thresholds(one) == one
