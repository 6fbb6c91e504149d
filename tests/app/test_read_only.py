"""A root file system that cannot be written, as hardened pods have it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.app.command import python_path
from tests.app.conftest import Start
from tests.e2e.processes import wait_until

AUDIT = Path(__file__).parent / "audit"
ENVIRONMENT = {
    **python_path(AUDIT),
    "PYTHONDONTWRITEBYTECODE": "1",  # as the image has it
    **dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME"), "/nonexistent"),
}
_SCRIPT = 'mount --bind / / && cd / && mount -o remount,bind,ro / && ! touch /probe 2>/dev/null && exec "$@"'


def read_only() -> tuple[str, ...]:
    """What gives a command a root that cannot be written; nothing where we may not mount."""
    for options in ((), ("--user", "--map-root-user")):
        prefix = ("unshare", *options, "--mount", "sh", "-c", _SCRIPT, "sh")
        if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
            return prefix
    return ()


def test_nothing_is_written(start: Start) -> None:
    """Through start, traffic, a death of the analysis, a reload and a drain no process opens a file for writing."""
    sidecar = start(environment=ENVIRONMENT, prefix=read_only())
    assert sidecar.post()[0] == 200
    sidecar.metrics()
    os.kill(sidecar.analysis(), signal.SIGKILL)
    sidecar.metrics()
    sidecar.signal(signal.SIGHUP)
    sidecar.logged("reloaded: nothing")
    sidecar.signal(signal.SIGTERM)
    assert sidecar.ended() == 0
    assert "WROTE" not in sidecar.text()
    assert "Read-only" not in sidecar.text()


def test_writing_would_be_seen(tmp_path: Path) -> None:
    """The audit tells a file that is written, so that its silence means something."""
    code = f"open({str(tmp_path / 'new')!r}, 'w').close(); open('/proc/self/comm', 'w').close(); open('/etc/passwd')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == f"WROTE {str(tmp_path / 'new')!r}\n"


def test_state_that_cannot_be_kept(start: Start) -> None:
    """A folder that takes no file costs a count and a line of the log; a killed analysis starts without a past."""
    sidecar = start("--state-dir", "/proc", "--series-hold", "0")
    for _ in range(2):
        assert sidecar.post()[0] == 200
        wait_until(
            lambda: sidecar.metrics().total("modeltap_history_files_total", outcome="failed"),
            "it is counted",
            30,
        )
        assert sidecar.metrics().total("modeltap_history_files_total", outcome="saved") == 0
        os.kill(sidecar.analysis(), signal.SIGKILL)
    sidecar.logged("the history cannot be written in /proc/history")
