"""Children and their keepers, with real processes that were told nothing."""

import asyncio
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from exporter.processes import tree
from exporter.processes.tree import (
    FIRST_DELAY,
    HEALTHY_SECONDS,
    HUNG_SECONDS,
    LAST_DELAY,
    START_SECONDS,
    STUCK_SECONDS,
    Backoff,
    Child,
    Keeper,
    Progress,
    cpu_seconds,
    receive,
    scheduled,
    send,
)
from tests.app.command import gone, lives, python_path

Deaths = list[str]
Scenario = Callable[[Keeper, Deaths], Awaitable[None]]


def keeping(role: str, scenario: Scenario, prepare: Callable[[Child], bool] = lambda _: True) -> None:
    """Run the scenario with a keeper of that role; whatever it started is stopped in the end."""

    async def main() -> None:
        deaths: Deaths = []
        keeper = Keeper(role, asyncio.get_running_loop(), prepare, deaths.append)
        try:
            async with asyncio.timeout(20):
                await scenario(keeper, deaths)
        finally:
            await keeper.stop(0)

    asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    """Poll; the scenario's deadline bounds it."""
    while not condition():
        await asyncio.sleep(0.01)


def test_packets_carry_descriptors() -> None:
    """A message arrives whole, with its descriptors; then there is none, then the end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        reader, writer = os.pipe()
        assert send(ours, {"kind": "start", "text": "é" * 1000}, [writer])
        os.close(writer)
        found = receive(theirs)
        assert found is not None
        assert found[0] == {"kind": "start", "text": "é" * 1000}
        os.write(found[1][0], b"same pipe")
        assert os.read(reader, 100) == b"same pipe"
        os.close(found[1][0])
        os.close(reader)
        with pytest.raises(BlockingIOError):
            receive(theirs)
        ours.close()
        assert receive(theirs) is None
        assert not send(theirs, {"kind": "beat"})


def test_a_full_socket_refuses() -> None:
    """A side that does not read never holds up the one that sends."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.setblocking(False)
        assert not all(send(ours, {"text": "x" * 10000}) for _ in range(1000))


def test_back_off() -> None:
    """Delays double up to the last one, and begin anew after a healthy life."""
    backoff = Backoff()
    delays = [backoff.delay(1) for _ in range(12)]
    assert delays[:4] == [FIRST_DELAY * 2**n for n in range(4)]
    assert delays[-2:] == [LAST_DELAY] * 2
    assert backoff.delay(HEALTHY_SECONDS + 1) == FIRST_DELAY
    assert max(Backoff(1.0).delay(0) for _ in range(9)) <= 1.0


def test_a_child_that_ends_is_started_again() -> None:
    """Every end is told with its reason, and followed by another start."""

    async def scenario(keeper: Keeper, deaths: Deaths) -> None:
        keeper.start()
        await until(lambda: len(deaths) == 3)
        assert deaths == ["exit"] * 3

    keeping("no such role", scenario)


def test_what_dies_again_and_again_is_no_longer_prompt() -> None:
    """The first few may start like anybody else, and those after a healthy life; the others yield to all."""

    async def scenario(keeper: Keeper, deaths: Deaths) -> None:
        keeper.start()
        found = []
        for lived in (0.0, 0.0, 0.0, 0.0, 0.0, HEALTHY_SECONDS, 0.0):
            await until(lambda: keeper.child is not None)
            assert keeper.child is not None
            found.append("promptly" in str(keeper.child.process.args))
            keeper.child.started -= lived
            keeper.child.kill("exit")
            await until(lambda: keeper.child is None)
        assert found == [True, True, True, True, True, False, True]

    keeping("worker", scenario)


def test_a_killed_child() -> None:
    """A signal is a reason of its own; the next child is another process in a session of its own."""

    async def scenario(keeper: Keeper, deaths: Deaths) -> None:
        keeper.start()
        assert keeper.child is not None
        first = keeper.child.process.pid
        assert os.getsid(first) == first
        os.kill(first, signal.SIGKILL)
        await until(lambda: keeper.child is not None and keeper.child.process.pid != first)
        assert deaths == ["signal"]
        assert not lives(first)

    keeping("worker", scenario)


def test_a_silent_child_is_killed() -> None:
    """A child without a beat is killed as hung: soon if it had begun to beat, later if it still starts."""

    async def scenario(keeper: Keeper, deaths: Deaths) -> None:
        for beating, bound in ((False, START_SECONDS), (True, HUNG_SECONDS)):
            await until(lambda: keeper.child is not None)
            child = keeper.child
            assert child is not None
            child.beating = beating
            child.beat -= bound - 1
            keeper.check()
            assert not child.killed
            child.beat -= 1
            keeper.check()
            await until(lambda child=child: keeper.child is not child)
        assert deaths == ["hung", "hung"]

    async def begin(keeper: Keeper, deaths: Deaths) -> None:
        keeper.start()
        await scenario(keeper, deaths)

    keeping("worker", begin)


def test_a_late_root_forgives() -> None:
    """A root that did not run itself takes nobody's silence for a fault."""

    async def scenario(keeper: Keeper, deaths: Deaths) -> None:
        keeper.start()
        assert keeper.child is not None
        keeper.child.beat -= 2 * START_SECONDS
        keeper._checked -= 10
        keeper.check()
        assert not keeper.child.killed

    keeping("worker", scenario)


def test_nothing_left_to_start_it_with() -> None:
    """A child that cannot be started is tried again: the root goes on without it."""

    async def scenario(keeper: Keeper, deaths: Deaths) -> None:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = os.open("/dev/null", os.O_RDONLY)
        os.close(free)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
            keeper.start()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert keeper.child is None
        assert deaths == ["exit"]
        await until(lambda: keeper.child is not None)

    keeping("worker", scenario)


def test_a_child_that_gets_no_start_message() -> None:
    """A child that could not be told what to do is not left waiting."""

    async def scenario(keeper: Keeper, deaths: Deaths) -> None:
        keeper.start()
        await until(lambda: deaths == ["exit"])

    keeping("worker", scenario, prepare=lambda _: False)


def test_stop() -> None:
    """A child is asked to end, and made to if it does not listen; neither counts as a death. Safe twice."""

    async def scenario(keeper: Keeper, deaths: Deaths) -> None:
        await keeper.stop(0)
        keeper._stopping = False
        keeper.start()
        child = keeper.child
        assert child is not None
        await keeper.stop(15)
        assert child.process.returncode == 0
        keeper._stopping = False
        keeper._over.clear()
        keeper.start()
        child = keeper.child
        assert child is not None
        os.kill(child.process.pid, signal.SIGSTOP)
        await keeper.stop(0.05)
        await keeper.stop(0.05)
        assert child.process.returncode == -signal.SIGKILL
        assert deaths == []

    keeping("worker", scenario)


def test_the_working_directory_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that happens to be called as the package is not run as a child."""
    trap = tmp_path / "exporter"
    trap.mkdir()
    (trap / "__main__.py").write_text("import pathlib; pathlib.Path('trapped').touch()")
    (trap / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    for name, value in python_path().items():
        monkeypatch.setenv(name, value)

    async def scenario(keeper: Keeper, deaths: Deaths) -> None:
        keeper.start()
        await keeper.stop(15)
        assert deaths == []

    keeping("worker", scenario)
    assert not (tmp_path / "trapped").exists()


def test_the_end_of_the_control_socket() -> None:
    """A child whose root is gone ends by itself."""

    async def scenario(keeper: Keeper, deaths: Deaths) -> None:
        loop = asyncio.get_running_loop()
        child = Child("worker", loop, lambda *_: None)
        loop.remove_reader(child.control)
        child.control.close()
        await asyncio.to_thread(gone, child.process.pid)
        assert child.process.wait() == 1

    keeping("worker", scenario)


def test_scheduling_is_read_from_the_kernel(tmp_path: Path) -> None:
    """The first fields of schedstat in seconds; zeros for what is absent or says something else."""
    for pid, text in ((1, "100000000 2500000000 7\n"), (2, "x y z"), (3, "1")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "schedstat").write_text(text)
    found = [scheduled(pid, tmp_path) for pid in (1, 2, 3, 4)]
    assert found == [(0.1, 2.5), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0)]
    assert min(scheduled(os.getpid())) > 0, "this process has run and waited at least once"


def test_cpu_time_is_read_from_the_kernel(tmp_path: Path) -> None:
    """User and system time together, whatever the process is called; 0 for what is gone."""
    ticks = os.sysconf("SC_CLK_TCK")
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "stat").write_text(f"1 (a) S (b) R 1 1 1 0 -1 0 0 0 0 0 {2 * ticks} {3 * ticks} 9 9 0")
    assert cpu_seconds(1, tmp_path) == 5.0
    assert cpu_seconds(2, tmp_path) == 0.0
    assert 0 < cpu_seconds(os.getpid()) <= time.process_time() + 1


SILENCES = (
    # ran, waited, in five seconds of silence
    ("it blocks", 0.0, 0.0, False),
    ("it waits for less than half of them", 0.1, 2.4, False),
    ("it waits for most of them", 0.1, 2.6, True),
    ("it gets next to nothing", 0.0, 5.0, True),
    ("it spins, as far as a quota lets it", 1.2, 3.8, False),
)


@pytest.mark.parametrize(
    ("ran", "waited", "starved"), [row[1:] for row in SILENCES], ids=[row[0] for row in SILENCES]
)
def test_who_only_waits_for_a_cpu(
    monkeypatch: pytest.MonkeyPatch, ran: float, waited: float, starved: bool
) -> None:
    """Silence spent in the run queue is starvation, which a restart would make worse; any other silence is a hang."""
    child = object.__new__(Child)
    child.process = cast("subprocess.Popen[bytes]", SimpleNamespace(pid=1))
    child.beat, child.ran, child.waited, child.beating = 100.0, 3.0, 7.0, True
    monkeypatch.setattr(tree, "scheduled", lambda pid: (3.0 + ran, 7.0 + waited))
    assert child.starved(105.0) is starved
    child.beating = False  # imports take more than a turn of a loop does
    assert child.starved(105.0) is (waited > 2.5)


def test_work_without_end() -> None:
    """Only CPU time that finishes nothing of what is waited for counts, and only that of one process."""
    progress = Progress()
    assert not progress.stuck(7, 0, True, 100.0)
    assert not progress.stuck(7, 0, True, 100.0 + STUCK_SECONDS)
    assert not progress.stuck(7, 1, True, 101.0 + STUCK_SECONDS), "something was finished"
    assert not progress.stuck(7, 1, False, 200.0 + STUCK_SECONDS), "nothing was waited for"
    assert not progress.stuck(7, 1, True, 200.0 + 2 * STUCK_SECONDS)
    assert progress.stuck(7, 1, True, 201.0 + 2 * STUCK_SECONDS)
    assert not progress.stuck(8, 1, True, 500.0), "another process"
