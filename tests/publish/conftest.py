"""An OTLP receiver per test, and an environment without OpenTelemetry variables."""

import os
from collections.abc import Iterator

import pytest

from tests.receivers.otlp import OtlpReceiver


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    """A real OTLP receiver on ports of its own."""
    with OtlpReceiver() as running:
        yield running


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exporters read the environment themselves; retries of a failing export end after 2 s here."""
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")
