"""The whole rendered example in both forms, compared with a stored one that is read in review.

Rewrite with `pytest tests/helm --golden`, or GOLDEN=1 in the environment.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import EXAMPLE, Chart

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(("name", "kube"), [("native", "1.33.0"), ("plain", "1.27.0")])
def test_golden_render(chart: Chart, golden: bool, name: str, kube: str) -> None:
    """The default sidecar renders exactly as stored."""
    rendered = chart.template("--set", EXAMPLE, kube=kube)
    path = GOLDEN / f"{name}.yaml"
    if golden:
        path.write_text(rendered)
    assert rendered == path.read_text(), "rewrite with GOLDEN=1 pytest tests/helm, and read the difference"
