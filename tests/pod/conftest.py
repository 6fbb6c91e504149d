"""The chart of this repository, as the chart's own tests have it."""

from tests.helm.conftest import chart, tools

__all__ = ["chart", "tools"]
