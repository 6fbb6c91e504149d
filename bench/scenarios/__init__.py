"""What is measured. To add a scenario: a file that declares a `Scenario`, and a line here.

The order is that of the run; the footprint comes last because it reads what the load left behind.
"""

from bench.scenario import Scenario
from bench.scenarios import (
    features,
    footprint,
    idle,
    keepalive,
    large,
    latency,
    paced,
    reconnect,
    saturated,
    stream,
    tls,
)

SCENARIOS: tuple[Scenario, ...] = (
    keepalive.SCENARIO,
    keepalive.WITH_MANY,
    paced.SCENARIO,
    latency.TOGETHER,
    latency.APART,
    saturated.SCENARIO,
    stream.SCENARIO,
    reconnect.SCENARIO,
    large.DOWNLOAD,
    large.UPLOAD,
    tls.KEEP_ALIVE,
    tls.FULL,
    tls.RESUMED,
    idle.SCENARIO,
    features.SCENARIO,
    footprint.SCENARIO,
)
