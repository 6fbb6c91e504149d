"""GPUs through NVML (nvidia) and amdsmi (AMD): a collector of each, that waits for no driver.

Invariants: a value is shown in the reading that brought it and never again; a driver that does not answer is counted
once, and asked nothing more until it has.
"""

from collections.abc import Iterable, Iterator

from exporter.collect.background import Background, Pending
from exporter.collect.contract import Unavailable, World, grouped
from exporter.collect.gpu_amd import Amd
from exporter.collect.gpu_devices import REASONS, Devices
from exporter.collect.gpu_nvml import Nvml
from exporter.records.sample import Sample


def nvidia(world: World) -> "GpuCollector":
    """The collector of all devices that this world's NVML shows."""
    return GpuCollector("gpu", Devices(Nvml(world.nvml)))


def amd(world: World) -> "GpuCollector":
    """The collector of all devices that this world's amdsmi shows."""
    return GpuCollector("gpu_amd", Devices(Amd(world.amdsmi)))


class GpuCollector:
    """Samples of `hw.*`. Unavailable: no driver, no device, or a reading that takes longer than is waited for.

    Raises what a driver that was there before fails with, and Hung while it does not answer.
    """

    def __init__(
        self, name: str, devices: Devices, background: Background[list[Sample]] | None = None
    ) -> None:
        self.name = name
        self._devices = devices
        self._background = background or Background(f"collect-{name}")

    def collect(self, now: float) -> Iterator[Sample]:
        """Samples as of `now`, unix seconds."""
        try:
            samples = self._background.ask(lambda: self._devices.read(now))
        except Pending as pending:
            raise Unavailable("the driver takes its time") from pending
        yield from grouped(samples)

    def samples(self) -> Iterator[Sample]:
        """What reading met with; from any thread, also while it hangs."""
        source, created = self._devices.driver.name, self._devices.created
        refused = self._devices.refused()
        for reason in REASONS:
            yield Sample("modeltap.gpu.refusals", (source, reason), refused[reason], created)
        yield Sample("modeltap.gpu.hangs", (source,), self._background.hangs, created)

    def close(self) -> None:
        """Let the driver go unless it hangs; safe twice."""
        if self._background.idle:
            self._devices.close()


def met(collectors: Iterable[object]) -> list[Sample]:
    """What those that read GPUs met with, families together."""
    found = (each for each in collectors if isinstance(each, GpuCollector))
    return grouped(sample for each in found for sample in each.samples())
