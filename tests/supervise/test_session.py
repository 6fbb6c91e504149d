"""What a child leaves behind is found by its session, and only that."""

import os
import subprocess

from exporter.supervise.session import kill, members
from tests.app.command import gone, lives


def test_what_is_left_behind() -> None:
    """Workers in any process group of the session are killed; one that made its own session, and we, are not."""
    code = "set -m; sleep 60 & echo $!; (sleep 60 & echo $!); set +m; setsid sleep 60 & echo $!; sleep 0.2"
    command = ["bash", "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as done:
        assert done.stdout is not None
        pids = [int(done.stdout.readline()) for _ in range(3)]
    assert set(members(done.pid)) == set(pids[:2])
    assert kill(done.pid) == 2
    gone(*pids[:2])
    assert lives(pids[2])
    os.kill(pids[2], 9)
    assert members(done.pid) == []
