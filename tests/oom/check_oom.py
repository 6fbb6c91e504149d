"""Kills for want of memory by a real kernel; by hand, `make oom`.

Real: a cgroup with a bound, below the one that this runs in, the kernel's choice of a victim, its counters, `modeltap
wrap` and `modeltap job`. It needs the right to make a cgroup (root, or a delegated one) and says so where it has none.
"""

import contextlib
import http.client
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.command import exchange
from tests.app.quota import Quota, bounded
from tests.app.test_wrap import Wrap, wrap
from tests.e2e.processes import wait_until

__all__ = ["wrap"]
# Room for the sidecar with its analysis, and for a model that behaves.
MEMORY = 400 << 20
ROUNDS = 3
SWELLS = "held = []\nwhile True: held.append(b'x' * (8 << 20))"


@pytest.fixture(scope="module")
def bounds() -> Iterator[Quota]:
    """Of this module: one group, whatever it holds ends before it is removed."""
    with bounded(MEMORY) as made:
        yield made


def swell(port: int) -> None:
    """Ask the model for more than there is; it answers no more."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        exchange(port, "GET", "/swell")


def test_a_model_that_takes_all_memory(wrap: Wrap, bounds: Quota) -> None:
    """Each kill is told from any other SIGKILL, the model is started again, and the sidecar answers for it."""
    wrapper = wrap(prefix=bounds.prefix)
    wrapper.started()
    wrapper.ready()
    for number in range(1, ROUNDS + 1):
        assert wrapper.post()[0] == 200
        swell(wrapper.port)
        wrapper.until(
            lambda metrics, number=number: (
                metrics.total("model_process_restarts_total", reason="oom") == number
            ),
            f"the kernel killed the model {number} times",
        )
        wrapper.ready(number + 1)
    assert "the model was killed for want of memory" in wrapper.text()
    assert bounds.oom_kills() >= ROUNDS
    metrics = wrapper.until(
        lambda metrics: metrics.total("container_memory_oom_kills_total") == bounds.oom_kills(),
        "what the kernel counted is exported",
    )
    assert metrics.total("model_process_restarts_total", reason="signal") == 0
    # The analysis offers itself first.
    assert bounds.oom_kills() - ROUNDS <= metrics.total("modeltap_restarts_total", component="analysis")
    wait_until(lambda: wrapper.post()[0] == 200, "it answers again", 30)


def test_a_model_that_is_killed_by_somebody(wrap: Wrap, bounds: Quota) -> None:
    """In the same group, where kills for want of memory were counted before: no such kill."""
    wrapper = wrap(prefix=bounds.prefix)
    wrapper.started()
    wrapper.ready()
    subprocess.run(["kill", "-KILL", str(wrapper.models()[0])], check=True)
    metrics = wrapper.until(
        lambda metrics: metrics.total("model_process_restarts_total", reason="signal") == 1, "it is seen"
    )
    assert metrics.total("model_process_restarts_total", reason="oom") == 0


def test_a_job_that_takes_all_memory(tmp_path: Path, bounds: Quota) -> None:
    """Its outcome is `oom`, and its exit status the one that a shell gives."""
    before = bounds.oom_kills()
    command = [sys.executable, "-m", "exporter", "job", "--", sys.executable, "-c", SWELLS]
    done = subprocess.run(
        [*bounds.prefix, *command], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 137
    assert bounds.oom_kills() > before
    assert "oom" in done.stderr, done.stderr
