"""Events of the analysis process as a collector gets them, over the same descriptors that the root hands it."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from exporter.analysis.history import History, KeptModel, packed, unpacked
from exporter.records import event
from exporter.stats import save
from tests.analysis.world import profile
from tests.receivers.otlp import OtlpReceiver, attributes
from tests.test_telemetry import ONE, Body, Sidecar, receiver, run, scrape, total, unchanged, until

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


def test_a_profile_that_changes(
    tmp_path: Path, receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read again while the sidecar runs; what is broken then is counted, and the one before stays."""
    first, second = profile("iris", "1"), profile("iris", "1", rows=50)
    file = tmp_path / "iris.json"
    save(first, file)
    monkeypatch.setattr("exporter.telemetry.LOOK_SECONDS", 0.02)

    async def body(sidecar: Sidecar) -> None:
        async def told(reference: str, outcome: str) -> str:
            async with asyncio.timeout(30):
                while total(found := await scrape(sidecar), "modeltap_reloads_total", outcome=outcome) < 1:
                    await asyncio.sleep(0.01)
            assert total(found, "model_reference_bin_rows", reference=reference) > 0
            assert total(found, "modeltap_reloads_total") == total(
                found, "modeltap_reloads_total", kind="profile"
            )
            return found

        before = await scrape(sidecar)
        assert total(before, "model_reference_bin_rows", reference=first.reference) > 0
        save(second, file)
        found = await told(second.reference, "success")
        assert total(found, "model_reference_bin_rows", reference=first.reference) == 0
        file.write_text("{")
        await told(second.reference, "failure")
        assert total(found, "modeltap_config_info") == 1
        sidecar.telemetry._watch()
        await until(lambda: bool(receiver.logs))

    run(body, reference=(str(file),))
    assert {record.event_name for record in receiver.logs} <= {event.RELOADED, event.RELOAD_FAILED}


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


def test_a_version_that_changed_while_nobody_watched(tmp_path: Path, receiver: OtlpReceiver) -> None:
    """What was kept says which version was in use before: the change is told, counted at 0 first, and is a rollback."""
    past = History("iris-service", (KeptModel("iris", "2", 1.0, ("1", "2"), True),))
    (tmp_path / "history").write_bytes(packed(past))

    async def body(sidecar: Sidecar) -> None:
        assert total(await scrape(sidecar), "model_version_start_time_seconds") == 0
        await sidecar.send(msgspec.structs.replace(ONE, model_version="unknown"))
        await until(lambda: any(record.event_name == event.ROLLED_BACK for record in receiver.logs))
        found = await scrape(sidecar)
        assert total(found, "modeltap_history_files_total", outcome="restored") == 1
        assert total(found, "model_version_changes_total", kind="rollback") == 1
        assert total(found, "model_deployments_total", model_version="2", outcome="rolled_back") == 1
        await until(lambda: unpacked((tmp_path / "history").read_bytes()).models[0].version == "1")

    run(body, state_dir=str(tmp_path), model_name="iris-service", series_hold=0.0)
    told = [attributes(one.attributes) for one in receiver.logs if one.event_name == event.VERSION_CHANGED]
    assert [(one[event.MODEL_VERSION], one[event.PREVIOUS_VERSION]) for one in told] == [("1", "2")]
