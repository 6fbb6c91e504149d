"""`modeltap wrap`: a model server as a child that is killed, hangs, fails, shouts and leaves workers behind."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.app.command import Metrics, Sidecar, exchange, gone, lives
from tests.app.test_drain import inner, pid_one
from tests.e2e.processes import LOOPBACK, free_ports, wait_until

MODEL = str(Path(__file__).with_name("wrapped_model.py"))
Wrap = Callable[..., "Wrapper"]


class Wrapper(Sidecar):
    """A sidecar with its model."""

    def __init__(
        self, folder: Path, words: tuple[str, ...], flags: tuple[str, ...], prefix: tuple[str, ...]
    ) -> None:
        (self.port,) = free_ports(1)
        model = [sys.executable, "-S", MODEL, str(self.port), *words]
        flags = ("--probe-path", "/ready", "--restart-delay", "0.2", *flags)
        super().__init__(folder, self.port, flags, prefix=prefix, model=model)

    def models(self) -> list[int]:
        """Process ids of the model's own process; the launcher is none yet."""
        found = []
        for child in psutil.Process(self.root).children():
            try:
                line = child.cmdline()
            except psutil.Error:
                continue
            if MODEL in line and "-I" not in line and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child.pid)
        return found

    def ready(self, times: int = 1) -> int:
        """Wait until it was ready so often; the model's pid."""
        wait_until(lambda: self.text().count("the model is ready") >= times, f"ready {times} times", 30, self)
        (pid,) = self.models()
        return pid

    def ask(self, path: str) -> bytes:
        """Of the model itself."""
        return exchange(self.port, "GET", path)[1]

    def until(self, check: Callable[[Metrics], bool], what: str) -> Metrics:
        """Scrape until it is so."""
        return wait_until(lambda: found if check(found := self.metrics()) else None, what, 30, self)


@pytest.fixture
def wrap(tmp_path: Path) -> Iterator[Wrap]:
    """`wrap(*words of the model, flags=…)`."""
    with ExitStack() as stack:

        def wrap(*words: str, flags: tuple[str, ...] = (), prefix: tuple[str, ...] = ()) -> Wrapper:
            wrapper = Wrapper(tmp_path, words, flags, prefix)
            stack.callback(wrapper.stop)
            stack.callback(wrapper.kill)
            return wrapper

        yield wrap


def test_a_model_that_is_killed(wrap: Wrap) -> None:
    """It is started again at once, with what it left behind out of the way; all of it is seen in /metrics."""
    wrapper = wrap("late")
    wrapper.started()
    first = wrapper.ready()
    assert wrapper.post()[0] == 200
    worker = int(wrapper.ask("/grow"))
    os.kill(first, signal.SIGKILL)
    gone(first, worker)
    second = wrapper.ready(2)
    assert second != first
    assert wrapper.post()[0] == 200
    assert wrapper.ask("/exit?7") == b""
    wrapper.ready(3)
    metrics = wrapper.until(lambda found: found.total("model_process_starts_total") == 3, "three starts")
    assert metrics.total("model_process_restarts_total", reason="signal") == 1
    assert metrics.total("model_process_restarts_total", reason="exit") == 1
    assert metrics.total("model_process_exits_total", reason="signal", code="SIGKILL") == 1
    assert metrics.total("model_process_exits_total", reason="exit", code="7") == 1
    assert metrics.total("model_process_exits_total") == 2
    listening, ready = (
        metrics.total("model_process_start_duration_seconds", phase=phase) for phase in ("listening", "ready")
    )
    assert 0.3 <= listening <= ready
    assert metrics.total("model_process_running") == 1
    wrapper.until(lambda found: found.total("model_process_log_lines_total", level="info") == 3, "lines")
    assert wrapper.metrics().total("model_process_log_lines_total", stream="stderr", level="error") == 3


def test_told_to_stop(wrap: Wrap) -> None:
    """An exchange under way gets its answer from a model that is told to stop only then; status 0."""
    wrapper = wrap()
    wrapper.started()
    pid = wrapper.ready()
    answers: list[int] = []
    client = threading.Thread(target=lambda: answers.append(wrapper.post("/v2/models/slow/infer")[0]))
    client.start()
    wrapper.logged("INFO:     slow")
    wrapper.signal(signal.SIGTERM)
    assert wrapper.ended() == 0
    client.join(20)
    assert answers == [200]
    assert "the model was ended by SIGTERM" in wrapper.text()
    assert not lives(pid)


def test_a_model_that_does_not_stop(wrap: Wrap) -> None:
    """One that ignores the signal, or is stopped itself, is killed within the grace."""
    wrapper = wrap("stubborn", flags=("--grace", "2"))
    wrapper.started()
    pid = wrapper.ready()
    os.kill(pid, signal.SIGSTOP)
    wrapper.signal(signal.SIGTERM)
    assert wrapper.ended() == 0
    wrapper.logged("SIGTERM came")
    wrapper.logged(r"did not end within [\d.]+ s: it is killed")
    assert not lives(pid)


def test_told_twice(wrap: Wrap) -> None:
    """A second signal waits neither for exchanges nor for the model, and leaves no model behind."""
    wrapper = wrap("stubborn", flags=("--grace", "300"))
    wrapper.started()
    pid = wrapper.ready()
    wrapper.signal(signal.SIGTERM)
    wrapper.logged("SIGTERM came")
    wrapper.signal(signal.SIGTERM)
    assert wrapper.ended() == 0
    gone(pid)


def test_signals_go_on(wrap: Wrap) -> None:
    """What the model handles reaches it, HUP too, which we heed as well; what would only end it does not."""
    wrapper = wrap()
    wrapper.started()
    wrapper.ready()
    wrapper.signal(signal.SIGUSR1)
    wrapper.logged("SIGUSR1 came")
    wrapper.signal(signal.SIGHUP)
    wrapper.logged("SIGHUP came")
    wrapper.logged("reloaded: nothing")
    wrapper.signal(signal.SIGUSR2)
    wrapper.logged("SIGUSR2 is not passed on")
    assert wrapper.ask("/") == b"ok"


def test_a_model_that_ends_for_good(wrap: Wrap) -> None:
    """Its status is ours, whether it may not be started again or was, often enough."""
    wrapper = wrap(flags=("--restart", "never"))
    wrapper.started()
    wrapper.ready()
    wrapper.ask("/exit?5")
    assert wrapper.ended() == 5
    assert "the model is not started again" in wrapper.text()


def test_a_model_that_always_fails(wrap: Wrap) -> None:
    """It is given up after the limit, and what it said is said."""
    wrapper = wrap("fails", flags=("--restart-limit", "2"))
    assert wrapper.ended() == 3
    assert wrapper.text().count("ERROR:root:none") == 3


def test_a_signal_as_a_status(wrap: Wrap) -> None:
    """A model that a signal ended gives 128 and its number."""
    wrapper = wrap(flags=("--restart", "never"))
    wrapper.started()
    os.kill(wrapper.ready(), signal.SIGSEGV)
    assert wrapper.ended() == 128 + signal.SIGSEGV


def test_a_killed_root(wrap: Wrap) -> None:
    """The model gets its signal, and the ports are free again."""
    wrapper = wrap()
    wrapper.started()
    pid = wrapper.ready()
    wrapper.kill()
    gone(pid)


def test_nobody_reads_what_the_model_says(wrap: Wrap, tmp_path: Path) -> None:
    """With a standard output that is not read, and an analysis that hangs, a model that shouts goes on serving."""
    pipe = tmp_path / "out"
    os.mkfifo(pipe)
    unread = os.open(pipe, os.O_RDWR)
    script = f'exec "$@" > {pipe}'
    wrapper = wrap("loud", prefix=("sh", "-c", script, "sh"))
    wrapper.started()
    wrapper.ready()
    metrics = wrapper.until(
        lambda found: found.total("model_process_output_dropped_bytes_total", reason="queue_full") > 0,
        "drops",
    )
    assert metrics.total("model_process_log_lines_skipped_total") > 0
    os.kill(wrapper.analysis(), signal.SIGSTOP)
    for _ in range(20):
        assert wrapper.post()[0] == 200
    os.close(unread)


def test_as_pid_one(wrap: Wrap) -> None:
    """As PID 1 it reaps what the model abandons, keeps the model, and ends with it."""
    prefix = tuple(pid_one())
    wrapper = wrap(prefix=prefix)
    wrapper.root = inner(wrapper, prefix)
    wrapper.started()
    pid = wrapper.ready()
    script = "(sleep 0.2 &); exit 0"
    subprocess.run(["nsenter", "-t", str(wrapper.root), "-p", "-m", "sh", "-c", script], check=False)
    os.kill(pid, signal.SIGKILL)
    second = wrapper.ready(2)
    wait_until(
        lambda: all(map(lives, [one.pid for one in psutil.Process(wrapper.root).children()])), "reaped", 20
    )
    assert lives(second)
    wrapper.signal(signal.SIGTERM)
    assert wrapper.ended() == 0


@pytest.mark.parametrize("words", [(), ("--",), ("--", "no-such-command-here")])
def test_no_command(words: tuple[str, ...], tmp_path: Path) -> None:
    """A command that is missing, or not there, is told before anything starts."""
    command = [sys.executable, "-m", "exporter", "wrap", "--upstream", f"http://{LOOPBACK}:1", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "expected" in done.stderr
