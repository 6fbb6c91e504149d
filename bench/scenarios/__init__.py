"""What is measured. To add a scenario: a file that declares a `Scenario`, and a line here.

The order is that of the run; the footprint comes last because it reads what the load left behind.
"""

from bench.scenario import Scenario
from bench.scenarios import footprint, keepalive, large, latency, paced, reconnect

SCENARIOS: tuple[Scenario, ...] = (
    keepalive.SCENARIO,
    paced.SCENARIO,
    latency.TOGETHER,
    latency.APART,
    reconnect.SCENARIO,
    large.DOWNLOAD,
    large.UPLOAD,
    footprint.SCENARIO,
)
