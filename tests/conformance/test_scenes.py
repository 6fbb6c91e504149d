"""Every scene over plain TCP and through a worker in every mode: both ends have the same, and the counts are exact."""

import pytest

from exporter.proxy.settings import MODES
from tests.conformance.scenes import SCENES
from tests.conformance.stage import REFUSING, direct, through
from tests.proxy.lab import Lab


@pytest.mark.parametrize("name", SCENES)
async def test_scene_without_the_sidecar(name: str) -> None:
    """What the scene says is what two sockets do."""
    stage, upstream = await direct()
    try:
        await stage.play(SCENES[name].steps)
    finally:
        stage.client.close()
        await upstream.stop()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", SCENES)
async def test_scene(lab: Lab, name: str, mode: str) -> None:
    """The same with the sidecar, save where the mode promises to refuse; each exchange is counted as what it was."""
    scene = SCENES[name]
    stage = await through(lab, mode)
    refusal = scene.refusal if mode in REFUSING else None
    try:
        await (stage.refused(scene.steps, refusal) if refusal else stage.play(scene.steps))
    finally:
        stage.client.close()
        stage.model.close()
    await lab.idle()
    counted = refusal or scene
    assert lab.desyncs() == ({counted.desync: 1} if counted.desync else {})
    assert lab.outcomes() == counted.counts
    if not refusal:
        assert lab.connections() == {scene.protocol: (1, stage.client.sent, len(stage.client.received))}
