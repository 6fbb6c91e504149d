"""The part of docs/dashboards.md that shows the pictures: one heading for each dashboard, its parts below each other.

It knows which files there are, not what is on them. Invariant: what stands above the mark is left alone.
"""

from collections.abc import Sequence
from pathlib import Path

from dashboards.generate import DASHBOARDS, HERE

PAGE = HERE.parent / "docs" / "dashboards.md"
TARGET = HERE.parent / "docs" / "pictures"
MARK = "<!-- From here on `python -m tests.pictures` writes. -->\n"


def kept(stem: str, mode: str) -> Sequence[Path]:
    """The parts of a page from its top."""
    return sorted(TARGET.glob(f"{stem}-{mode}-*.png"), key=lambda path: int(path.stem.rpartition("-")[2]))


def page(text: str) -> str:
    """`text` with the pictures that there are."""
    head, _, _ = text.partition(MARK)
    parts = [_shown(name.removesuffix(".json"), build()["title"]) for name, build in DASHBOARDS]
    return head + MARK + "".join(parts)


def _shown(stem: str, title: str) -> str:
    whole = [f"\n### {title.rpartition(' / ')[2]}\n\n"]
    for number, path in enumerate(kept(stem, "light"), start=1):
        dark = path.name.replace("-light-", "-dark-")
        whole.append(
            f'<picture>\n  <source media="(prefers-color-scheme: dark)" srcset="pictures/{dark}">\n'
            f'  <img alt="{title}, part {number}" src="pictures/{path.name}">\n</picture>\n'
        )
    return "".join(whole)
