"""The pictures that are kept: each is shown in a page, in both modes, and none is large."""

import re
from pathlib import Path

from dashboards.generate import DASHBOARDS
from tests.pictures.__main__ import MODES
from tests.pictures.pages import PAGE, TARGET, page

ROOT = TARGET.parents[1]
MOST_BYTES = 400_000
ALL_BYTES = 5_000_000
KEPT = {path.name for path in TARGET.iterdir()}


def shown(page: Path) -> set[str]:
    return set(re.findall(r"pictures/([\w-]+\.png)", page.read_text()))


def test_every_picture_is_shown() -> None:
    """docs/dashboards.md shows all that there are, and no page one that there is not."""
    assert PAGE.read_text() == page(PAGE.read_text())
    assert shown(PAGE) == KEPT
    assert shown(ROOT / "README.md") <= KEPT


def test_every_dashboard_is_drawn_in_both_modes() -> None:
    """From the top to the end, the same parts of each."""
    parts = {mode: {name.replace(f"-{mode}-", "-") for name in KEPT if f"-{mode}-" in name} for mode in MODES}
    first, *others = parts.values()
    assert all(other == first for other in others)
    assert {f"{name.removesuffix('.json')}-1.png" for name, _ in DASHBOARDS} <= first


def test_pictures_are_small() -> None:
    """A page of them loads at once, and the repository does not grow by them."""
    sizes = [path.stat().st_size for path in TARGET.iterdir()]
    assert max(sizes) < MOST_BYTES
    assert sum(sizes) < ALL_BYTES
