"""Reading the configuration again: what is taken over, what stays and is told, and that no connection notices."""

import http.client
import os
import re
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from exporter.records.custom import Custom
from exporter.settings.config import Config, proxy_settings
from exporter.settings.reload import RELOADABLE, reload
from tests.app.command import BODY, INFER, Sidecar
from tests.app.conftest import Start
from tests.app.test_cli import _writer
from tests.app.upstream import Upstream
from tests.e2e.processes import LOOPBACK, wait_until

UPSTREAM = "http://127.0.0.1:1"


def config(**settings: Any) -> Config:
    """A configuration with these settings."""
    return Config(upstream=UPSTREAM, **settings)


def test_what_may_change() -> None:
    """Every setting that may change is taken over, each with a line that tells both values."""
    old = config(mode="gate")
    words = {
        "log_level": "debug",
        "shed_status": 429,
        "access_log_sample": 0.5,
        "protocol": ("mlflow",),
        "custom": (Custom("/a", score="x"),),
    }
    values = {key: words[key] if key in words else getattr(old, key) + 3 for key in RELOADABLE}
    found = reload(old, config(mode="gate", **values), "gate")
    assert found.refused == ()
    assert found.config == config(mode="gate", **values)
    assert set(found.changed) == {f"{key} {getattr(old, key)} -> {value}" for key, value in values.items()}


def test_nothing_changed() -> None:
    """The same configuration changes nothing."""
    found = reload(config(), config(), "annotate")
    assert (found.config, found.changed, found.refused) == (config(), (), ())


STAYS = (
    ({"listen": "[::]:1"}, "listen: '[::]:9000' stays, '[::]:1' is not taken: it needs a restart"),
    ({"workers": 2}, "workers: 1 stays, 2 is not taken: it needs a restart"),
    ({"mode": "strict"}, "mode: '' stays, 'strict' is not taken: it needs a restart"),
    (
        {"mode": "gate", "max_concurrency": 2},
        "max_concurrency: 0 stays, 2 is not taken: --mode annotate never refuses; a restart with gate or strict",
    ),
)


@pytest.mark.parametrize(("settings", "line"), STAYS)
def test_what_stays(settings: dict[str, Any], line: str) -> None:
    """What cannot change while it runs is told with both values and the reason, and the rest is taken over."""
    found = reload(config(), config(max_queue=7, **settings), "annotate")
    assert found.config == config(max_queue=7)
    assert found.changed == ("max_queue 100 -> 7",)
    assert any(refused.startswith(line) for refused in found.refused)


def test_a_limit_needs_one_worker() -> None:
    """With several workers a limit is refused, also by a file that speaks of one."""
    found = reload(config(workers=2, mode="gate"), config(max_concurrency=3, mode="gate"), "gate")
    assert found.config == config(workers=2, mode="gate")
    assert "max_concurrency: 0 stays, 3 is not taken: a limit needs one worker" in found.refused


def test_a_limit_that_ends_leaves_the_mode() -> None:
    """A limit may come and go where the mode of the start can refuse, also where only the limit implied it."""
    old = config(max_concurrency=4)
    mode = proxy_settings(old).mode
    assert mode == "gate"
    found = reload(old, config(), mode)
    assert found.changed == ("max_concurrency 4 -> 0",)
    assert reload(found.config, config(max_concurrency=9, mode="gate"), mode).refused == ()


def write(file: Path, **settings: object) -> None:
    """A configuration file with these settings."""
    file.write_text("".join(f"{key}: {value}\n" for key, value in settings.items()))


def reloaded(sidecar: Sidecar, pattern: str) -> None:
    """Tell it to reload and wait for that line."""
    sidecar.signal(signal.SIGHUP)
    sidecar.logged(pattern)


class Kept:
    """A connection that is used again and again."""

    def __init__(self, sidecar: Sidecar) -> None:
        self._connection = http.client.HTTPConnection(LOOPBACK, sidecar.listen, timeout=20)
        self._connection.connect()
        self._sock = self._connection.sock

    def ask(self) -> int:
        """The status of one more exchange on the very same connection."""
        self.send()
        return self.read()

    def send(self) -> None:
        """A request."""
        self._connection.request("POST", INFER, BODY)

    def read(self) -> int:
        """The status of its answer."""
        answer = self._connection.getresponse()
        answer.read()
        assert self._connection.sock is self._sock
        return answer.status

    def close(self) -> None:
        """The end of it."""
        self._connection.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_bounds_change_under_connections(start: Start, tmp_path: Path, workers: int) -> None:
    """SIGHUP applies new bounds in every process and drops no connection; a bad file changes nothing at all."""
    file = tmp_path / "modeltap.yaml"
    write(file, max_connections=workers, workers=workers)
    sidecar = start("--config", str(file))
    kept = [Kept(sidecar)]
    assert kept[0].ask() == 200
    # With one place for each worker they are all taken sooner or later, and somebody waits.
    for _ in range(workers * 8):
        kept.append(Kept(sidecar))
        kept[-1].send()
    sidecar.logged(r"clients wait to be accepted \(max_connections\)")

    write(file, max_connections=100, workers=workers, listen="127.0.0.1:1", log_level="debug")
    reloaded(sidecar, f"reloaded: max_connections {workers} -> 100")
    sidecar.logged("reloaded: log_level info -> debug")
    assert "reload: listen" not in sidecar.text(), "a flag is stronger than the file"
    assert [one.read() for one in kept[1:]] == [200] * (workers * 8)

    write(file, max_connections="some", workers=workers + 1, max_queu=1)
    reloaded(
        sidecar, r"reload refused, all settings stay: .*max_connections: 'some': expected a whole number"
    )
    sidecar.logged(r"reload refused, all settings stay: .*max_queu: unknown setting; expected max_queue")

    write(file, max_connections=100, workers=workers + 1)
    reloaded(sidecar, f"reload: workers: {workers} stays, {workers + 1} is not taken: it needs a restart")
    sidecar.logged("reloaded: log_level debug -> info")
    assert [one.ask() for one in kept] == [200] * len(kept)
    for one in kept:
        one.close()
    assert len(re.findall("listening on", sidecar.text())) == 1
    counts = {
        outcome: sidecar.metrics().total("modeltap_reloads_total", kind="config", outcome=outcome)
        for outcome in ("success", "failure")
    }
    assert counts == {"success": 1, "failure": 2}


def test_a_new_process_has_the_new_settings(start: Start, tmp_path: Path) -> None:
    """A worker that is started after a reload starts with what was reloaded."""
    file = tmp_path / "modeltap.yaml"
    write(file, max_connections=64)
    sidecar = start("--config", str(file), "--workers", "2")
    first = wait_until(lambda: found if len(found := sidecar.children("worker")) == 2 else None, "two run")
    write(file, max_connections=2)
    reloaded(sidecar, "reloaded: max_connections 64 -> 2")
    for pid in first:
        psutil.Process(pid).kill()
    wait_until(lambda: len(set(sidecar.children("worker")) - set(first)) == 2, "both are replaced", 20)
    kept = [Kept(sidecar) for _ in range(4)]
    for one in kept:
        one.send()
    sidecar.logged(r"clients wait to be accepted \(max_connections\): 1 are open of 1")
    for one in kept:
        one.close()


def test_asked_before_it_runs(tmp_path: Path, upstream: Upstream) -> None:
    """SIGHUP that comes while the configuration is still read ends nothing, and is not forgotten."""
    pipe = tmp_path / "config.yaml"
    os.mkfifo(pipe)
    sidecar = Sidecar(tmp_path, upstream.port, ("--config", str(pipe)))
    try:
        writer = wait_until(lambda: _writer(pipe), "the configuration is read", 20, sidecar)
        sidecar.signal(signal.SIGHUP)
        os.write(writer, b"max_queue: 50\n")
        os.close(writer)
        sidecar.started()
        writer = wait_until(lambda: _writer(pipe), "it is read again", 20, sidecar)
        os.write(writer, b"max_queue: 7\n")
        os.close(writer)
        sidecar.logged("reloaded: max_queue 50 -> 7")
    finally:
        sidecar.kill()
        sidecar.stop()
