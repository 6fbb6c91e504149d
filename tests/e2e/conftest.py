"""Shows the ends of the logs of a shared deployment under each failure of a test that used it."""

from collections.abc import Generator

import pytest

from tests.e2e.deployment import Deployment


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add one section per process to a failed report."""
    report = yield
    parts = getattr(item, "funcargs", {}).get("deployment")
    if report.failed and isinstance(parts, Deployment):
        report.sections += [(f"log of {process.name}", process.tail()) for process in parts.processes()]
    return report
