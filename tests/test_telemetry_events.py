"""Events of the analysis process as a collector gets them, over the same descriptors that the root hands it."""

import asyncio

import pytest

from exporter.records import event
from tests.receivers.otlp import OtlpReceiver, attributes
from tests.test_telemetry import Body, Sidecar, receiver, unchanged, until

__all__ = ["receiver", "unchanged"]  # fixtures


def restarted(body: Body) -> None:
    """Run the body with an analysis that was started again."""

    async def main() -> None:
        sidecar = Sidecar()
        sidecar.status.restarted("analysis", "hung")
        await sidecar.start()
        try:
            await body(sidecar)
        finally:
            await sidecar.stop()
            sidecar.close()

    asyncio.run(main())


def test_events_reach_the_collector_and_the_log(
    receiver: OtlpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    """A restart, a change of version, a burst of desyncs, a burst of drops, a dialect that is switched off."""

    async def body(sidecar: Sidecar) -> None:
        await asyncio.sleep(0)
        sidecar.telemetry._watch()
        sidecar.writer.count("desync_request", "bare_lf", 6)
        sidecar.writer.count("dropped", "queue_full", 200)
        sidecar.telemetry._watch()
        await sidecar.telemetry.message({"kind": "dialects", "off": ["openai"]}, [])
        for versions in ({"iris": "1"}, {"iris": "2"}):
            sidecar.telemetry._engine.learned.update(versions)
            sidecar.telemetry._tell_learned()
        await until(lambda: len(receiver.logs) >= 5)

    restarted(body)
    found = {record.event_name: attributes(record.attributes) for record in receiver.logs}
    assert found == {
        event.RESTARTED: {"component": "analysis", "reason": "hung", "restarts": 1},
        event.DESYNC_BURST: {"count": 6, "reason": "bare_lf"},
        event.DROP_BURST: {"count": 200, "reason": "queue_full"},
        event.DIALECT_OFF: {"model.protocol": "openai"},
        event.VERSION_CHANGED: {
            "model.name": "iris",
            "model.version": "2",
            "model.version.previous": "1",
        },
    }
    assert "Connections go on as opaque relays, their framing being uncertain.: count=6" in caplog.text
