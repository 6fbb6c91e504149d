"""Which signals go on to a child."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.supervise.signals import PASSED, named, welcome

CODE = "import signal; signal.signal(signal.SIGUSR1, lambda *_: 0); print('', flush=True); input()"


def test_a_handled_signal_is_welcome() -> None:
    """What a process handles may come, and what does it no harm; what would end it may not."""
    with subprocess.Popen(
        [sys.executable, "-c", CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = {number for number in PASSED if welcome(child.pid, number)}
        child.communicate(b"\n")
    assert found == {signal.SIGUSR1, signal.SIGWINCH, signal.SIGCONT, signal.SIGURG}
    assert not welcome(child.pid, signal.SIGUSR1), "it is gone"


def test_no_form_that_is_known(tmp_path: Path) -> None:
    """Where /proc does not tell, nothing that could end the child is passed on."""
    (tmp_path / "7").mkdir()
    (tmp_path / "7/status").write_text("Name:\tx\n")
    assert not welcome(7, signal.SIGHUP, tmp_path)
    assert welcome(os.getpid(), signal.SIGINT)


def test_names() -> None:
    """A signal is named with or without SIG."""
    assert {named("term"), named("SIGTERM")} == {signal.SIGTERM}
    for word in ("", "SIG", "15", "TERMINATE"):
        with pytest.raises(ValueError, match="expected the name of a signal"):
            named(word)
