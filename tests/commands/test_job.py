"""`modeltap job` with the real command, a real Pushgateway, and a receiver of OTLP."""

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from exporter.publish.exposition import readings
from tests.app.command import Metrics, python_path
from tests.app.test_drain import pid_one
from tests.e2e.processes import LOOPBACK, free_ports, wait_until
from tests.receivers.otlp import OtlpReceiver
from tests.receivers.pushgateway import gateway_in

# Tells rows in both ways, uses memory, and ends as it is told.
SCRIPT = """
import os, sys
fd = int(os.environ["MODELTAP_ROWS_FD"])
os.write(fd, b'{"rows": 10, "failed": 1}\\nnonsense\\n5')
print("scored 7 rows")
print("scored 3 rows", file=sys.stderr)
block = bytearray(80_000_000)
for place in range(0, len(block), 4096):
    block[place] = 1
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Pushgateway."""
    with gateway_in(tmp_path_factory.mktemp("gateway")) as url:
        yield url


def command(*words: str) -> list[str]:
    """The command line."""
    return [sys.executable, "-m", "exporter", "job", *words]


def job(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run to its end."""
    surroundings = {**os.environ, **python_path(), **environment}
    return subprocess.run(
        command(*words),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=surroundings,
        input="in\n",
    )


def script(status: int) -> Sequence[str]:
    """The job's own command."""
    return ("--", sys.executable, "-S", "-c", SCRIPT, str(status))


def pushed(url: str) -> Metrics:
    """What the gateway exposes."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        body = answer.read()
    readings(body, "text/plain", frozenset())  # well formed
    return Metrics(body.decode())


def test_success_then_failure(gateway: str) -> None:
    """Duration, outcome, rows, resources; after a failure it is still known when the job last succeeded."""
    flags = (
        "--name",
        "nightly",
        "--pushgateway",
        gateway,
        "--every",
        "3600",
        "--rows-from",
        r"scored (\d+) rows",
    )
    done = job(*flags, *script(0))
    assert done.returncode == 0
    assert done.stdout == "scored 7 rows\n"
    assert done.stderr.startswith("scored 3 rows\n")
    assert "job nightly: success (status 0)" in done.stderr
    assert "25 rows, 1 failed" in done.stderr
    found = pushed(gateway)
    assert found.total("model_job_outcome", job="nightly", job_name="nightly", outcome="success") == 1
    assert found.total("model_job_outcome") == 1
    assert found.total("model_job_rows_total", outcome="ok") == 25
    assert found.total("model_job_rows_total", outcome="failed") == 1
    assert found.total("model_job_rows_invalid_total") == 1
    assert found.total("model_job_memory_peak_bytes") > 80_000_000
    assert found.total("model_job_cpu_time_seconds_total") > 0
    assert found.total("model_job_running") == 0
    assert found.total("model_job_period_seconds") == 3600
    succeeded = found.total("model_job_last_success_time_seconds")
    assert succeeded >= found.total("model_job_start_time_seconds") > 0

    done = job(*flags, *script(4))
    assert done.returncode == 4
    found = pushed(gateway)
    assert found.total("model_job_outcome", outcome="failure") == 1
    assert found.total("model_job_outcome") == 1
    assert found.total("model_job_exit_code") == 4
    assert found.total("model_job_last_success_time_seconds") == succeeded


def test_while_it_runs(gateway: str) -> None:
    """It is seen running; a signal sent to us reaches it, and its end is told."""
    words = ("--name", "long", "--pushgateway", gateway, "--interval", "0.1", "--", "sleep", "60")
    with subprocess.Popen(command(*words), env={**os.environ, **python_path()}) as running_job:
        wait_until(lambda: pushed(gateway).total("model_job_running", job="long") == 1, "it is seen", 30)
        assert pushed(gateway).total("model_job_outcome", job="long") == 0
        running_job.send_signal(signal.SIGTERM)
        assert running_job.wait(30) == 128 + signal.SIGTERM
    found = pushed(gateway)
    assert found.total("model_job_outcome", job="long", outcome="signal") == 1
    assert found.total("model_job_running", job="long") == 0


def test_streams_are_the_jobs_own() -> None:
    """Without --rows-from nothing is between the job and our streams; a pipeline stays one."""
    done = job("--", "cat")
    assert (done.returncode, done.stdout) == (0, "in\n")


def test_a_gateway_that_is_dead() -> None:
    """It costs one line, and the status is the job's."""
    (port,) = free_ports(1)
    done = job(
        "--pushgateway",
        f"http://{LOOPBACK}:{port}",
        "--interval",
        "0.1",
        "--",
        "sh",
        "-c",
        "sleep 0.5; exit 9",
    )
    assert done.returncode == 9
    assert done.stderr.count("pushes to the Pushgateway fail: Connection refused") == 1


def test_over_otlp() -> None:
    """The same over OTLP, by the standard variables."""
    with OtlpReceiver() as receiver:
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }
        done = job("--name", "nightly", *script(0), **environment)
        assert done.returncode == 0
        points = receiver.metrics["model.job.outcome"].gauge.data_points
        rows = receiver.metrics["model.job.rows"].sum.data_points
    by_outcome = {one.attributes[1].value.string_value: one.as_int or one.as_double for one in points}
    assert by_outcome["success"] == 1
    assert sum(one.as_int or one.as_double for one in rows) == 16


WRONG = (
    ((), "no command"),
    (("--", "/no/such/command"), "/no/such/command: not found"),
    (("--every", "often", "--", "true"), "--every: 'often': expected a number"),
    (("--interval", "0", "--", "true"), "--interval: '0': expected a number"),
    (("--rows-from", "(", "--", "true"), "--rows-from: '(': expected a regular expression"),
    (("--group", "job=x", "--", "true"), "--group: ['job=x']: expected LABEL=VALUE"),
    (("--pushgateway", "h:9091", "--", "true"), "--pushgateway: 'h:9091': expected http://"),
)


@pytest.mark.parametrize(("words", "line"), WRONG)
def test_wrong_words(words: tuple[str, ...], line: str) -> None:
    """Each is told, with what was expected; nothing runs."""
    done = job(*words)
    assert done.returncode == 2
    assert line in done.stderr


def test_a_reader_that_leaves(tmp_path: Path) -> None:
    """A job whose output is looked at ends as it would without us when nobody reads it."""
    line = " ".join(f"'{word}'" for word in command("--rows-from", "(x)", "--", "yes"))
    done = subprocess.run(
        ["bash", "-c", f"{line} | head -1; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **python_path()},
    )
    assert done.stdout == f"y\n{128 + signal.SIGPIPE}\n"


def test_as_pid_one() -> None:
    """As PID 1 it reaps what the job abandons, and its status is the job's."""
    # A process that nobody waited for stays in /proc.
    code = "p=$( (sleep 0.1 > /dev/null & echo $!) ); while [ -d /proc/$p ]; do sleep 0.1; done; exit 6"
    done = subprocess.run(
        [*pid_one(), *command("--", "sh", "-c", code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **python_path()},
    )
    assert done.returncode == 6
