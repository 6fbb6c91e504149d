"""Every dashboard, built once for all tests that only read it."""

from functools import cache

from dashboards.generate import DASHBOARDS
from tests.dashboards.linter import Dashboard

NAMES = tuple(name for name, _ in DASHBOARDS)


@cache
def built(name: str) -> Dashboard:
    return dict(DASHBOARDS)[name]()
