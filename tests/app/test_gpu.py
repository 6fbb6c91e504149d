"""A real sidecar over a driver of C: what it shows, and that a driver which hangs keeps nobody waiting."""

from pathlib import Path

from tests.app.conftest import Start
from tests.collect import nvml
from tests.e2e.processes import wait_until

DEVICE = "GPU-00000000-0000-0000-0000-000000000001"


def test_gpus(start: Start, tmp_path: Path) -> None:
    """Found by the loader, scraped, hung, back: while the driver hangs all else is collected, and nothing old shown."""
    control = nvml.Control(tmp_path / "driver.txt")
    control.say("xid=1.79.1")
    environment = {"LD_LIBRARY_PATH": str(nvml.compiled().parent), "FAKE_NVML": str(control.path)}
    sidecar = start("--series-hold", "0", environment=environment)

    def total(name: str, **labels: str) -> float:
        return sidecar.metrics().total(name, **labels)

    # Each of these is a collection or two, five seconds apart.
    wait_until(
        lambda: total("hw_gpu_xid_errors_total", hw_id=DEVICE, xid="79") == 1, "the XID is counted", 60
    )
    assert total("hw_power_watts", hw_id=DEVICE) == 412.5
    uptime = total("process_uptime_seconds", component="analysis")
    control.say("hang=power")
    wait_until(lambda: not total("hw_power_watts"), "the driver hangs", 60)
    assert total("process_uptime_seconds", component="analysis") > uptime
    assert sidecar.post()[0] == 200
    assert not total("hw_power_watts")
    control.say("lost=0")
    wait_until(lambda: total("hw_power_watts", hw_id=DEVICE) == 412.5, "it answers again", 60)
    lost = DEVICE[:-1] + "0"
    assert total("hw_status", hw_id=lost, hw_state="failed") == 1
    assert not total("hw_power_watts", hw_id=lost)
    assert total("modeltap_gpu_refusals_total", source="nvml", reason="lost") > 0
