"""What the GPUs of this machine tell, read twice: `python -m tests.collect.real_gpu`, by hand, where there is one.

Prints each family with its samples, families that no device gives, refusals and how long a reading takes. Exit status:
0 if a device answers with its memory, temperature and name; 1 otherwise.
"""

import sys
import time
from collections.abc import Sequence

from exporter.collect.background import Background
from exporter.collect.contract import Unavailable
from exporter.collect.gpu import GpuCollector
from exporter.collect.gpu_amd import Amd, load_amdsmi
from exporter.collect.gpu_devices import Devices
from exporter.collect.gpu_nvml import Nvml, load_nvml
from exporter.records.catalogue import CATALOGUE, metric
from exporter.records.sample import Sample

NEEDED = {"hw.gpu.info", "hw.gpu.memory.usage", "hw.gpu.memory.limit", "hw.temperature", "hw.status"}


def collected(gpu: GpuCollector) -> list[Sample]:
    """The second reading: the first has to start the driver, and events are watched a little later."""
    try:
        list(gpu.collect(time.time()))
        time.sleep(1.0)
        began = time.perf_counter()
        samples = list(gpu.collect(time.time()))
    except Unavailable as reason:
        print(f"{gpu.name}: {reason}")
        return []
    print(f"{gpu.name}: {len(samples)} samples in {(time.perf_counter() - began) * 1000:.1f} ms")
    return samples


def show(samples: Sequence[Sample]) -> None:
    for sample in samples:
        labels = ", ".join(
            f"{key}={text}"
            for key, text in zip(metric(sample.name).labels, sample.labels, strict=True)
            if text
        )
        print(f"  {sample.name}{{{labels}}} {sample.value}")


def main() -> int:
    fine = False
    for name, driver in (("gpu", Nvml(load_nvml)), ("gpu_amd", Amd(load_amdsmi))):
        gpu = GpuCollector(name, Devices(driver), Background(name, wait=60, hung=60))
        samples = collected(gpu)
        show(samples)
        show([sample for sample in gpu.samples() if sample.value])
        given = {sample.name for sample in samples}
        if given:
            print(
                "  not told:",
                *sorted(
                    row.name for row in CATALOGUE if row.name.startswith("hw.") and row.name not in given
                ),
            )
        fine = fine or given >= NEEDED
        gpu.close()
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
