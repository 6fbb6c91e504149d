"""Labels with real sidecars: over a restart with SQLite, and three replicas on a real Redis."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from exporter.stats import save
from exporter.stats.profiles.build import Column, ProfileConfig, build
from tests.app.command import BODY, INFER, Sidecar, python_path
from tests.app.upstream import Upstream
from tests.e2e.processes import LOOPBACK, wait_until
from tests.receivers.redis import RedisServer

FLAGS = ("--task", "regression", "--series-hold", "0", "--upstream-metrics", "off")
ANSWER = 1.5  # whatever is asked
SECONDS = 60


@pytest.fixture
def model() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


def placed(folder: Path, model: Upstream, flags: tuple[str, ...]) -> Sidecar:
    """A sidecar with a folder of its own."""
    folder.mkdir()
    return Sidecar(folder, model.port, flags)


def predict(sidecar: Sidecar, *ids: str) -> None:
    """One exchange for each id."""
    connection = http.client.HTTPConnection(LOOPBACK, sidecar.listen, timeout=30)
    try:
        for identity in ids:
            connection.request("POST", INFER, BODY, {"x-request-id": identity})
            answer = connection.getresponse()
            assert answer.status == 200
            answer.read()
    finally:
        connection.close()


def feed(sidecar: Sidecar, *ids: str, label: float) -> dict[str, int]:
    """Labels by what became of them."""
    body = json.dumps([{"id": identity, "label": label} for identity in ids]).encode()
    connection = http.client.HTTPConnection(LOOPBACK, sidecar.admin, timeout=30)
    try:
        connection.request("POST", "/v1/feedback", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        found = json.loads(answer.read())
        assert answer.status == 200, found
        counts: dict[str, int] = found["counts"]
        return counts
    finally:
        connection.close()


def ready(sidecar: Sidecar) -> None:
    wait_until(lambda: metric(sidecar, "modeltap_label_store_up") == 1, "the store is up", SECONDS, sidecar)


def metric(sidecar: Sidecar, name: str, **labels: str) -> float:
    try:
        return sidecar.metrics().total(name, **labels)
    except (OSError, http.client.HTTPException, AssertionError):
        return -1.0


def modeltap(sidecar: Sidecar, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command that speaks to it."""
    command = [sys.executable, "-m", "exporter", *arguments, "--admin", f"{LOOPBACK}:{sidecar.admin}"]
    environment = {**os.environ, **python_path()}
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=environment)


def cohorts(sidecar: Sidecar) -> tuple[float, float]:
    """(predicted, labelled) rows in the store."""
    done = modeltap(sidecar, "performance", "--by", "all", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    return sum(row["predicted"] for row in rows), sum(row["labelled"] for row in rows)


def test_labels_after_a_restart(model: Upstream, tmp_path: Path) -> None:
    """Predictions of an earlier life are joined by a file of labels, once; figures and bins of the truth are theirs."""
    truth = Column(np.repeat([ANSWER, ANSWER + 0.5, 9.0], 20), "target")
    save(build({"price": truth}, ProfileConfig("echo")), tmp_path / "reference.json")
    flags = (*FLAGS, "--label-store", f"sqlite:{tmp_path}/pending.db")
    flags += ("--reference", str(tmp_path / "reference.json"))
    ids = [f"p{number}" for number in range(20)]
    first = placed(tmp_path / "first", model, flags)
    try:
        first.started()
        ready(first)
        predict(first, *ids)
        kept = {"state": "kept", "model_name": "echo", "model_version": "1"}
        wait_until(
            lambda: metric(first, "model_label_predictions_total", **kept) == 20,
            "all rows wait",
            SECONDS,
            first,
        )
        wait_until(lambda: cohorts(first) == (20, 0), "and are in a cohort", SECONDS, first)
        first.signal(signal.SIGTERM)
        assert first.ended() == 0
    finally:
        first.stop()
    file = tmp_path / "labels.csv"
    file.write_text("id,label\n" + "".join(f"{one},{ANSWER + 0.5 * (n % 2)}\n" for n, one in enumerate(ids)))
    second = placed(tmp_path / "second", model, flags)
    try:
        second.started()
        ready(second)
        done = modeltap(second, "feedback", str(file), "--batch", "7")
        assert (done.returncode, done.stdout) == (0, f"{file}: 20 rows: 20 joined\n"), done.stderr
        done = modeltap(second, "feedback", str(file))
        assert (done.returncode, done.stdout) == (0, f"{file}: 20 rows: 20 duplicate\n"), done.stderr
        assert metric(second, "model_performance_rows_total", state="added", maturity="arrival") == 20
        assert metric(second, "model_performance_error_total", statistic="squares") == 10 * 0.25
        for edge in (ANSWER, ANSWER + 0.5):
            assert metric(second, "model_performance_target_total", state="added", bin=f"{edge}") == 10
        assert metric(second, "model_performance_target_total", maturity="arrival") == 20
        assert cohorts(second) == (20, 20)
        done = modeltap(second, "performance", "--by", "all")
        assert done.returncode == 0
        assert " open " in done.stdout and " 100.0% " in done.stdout and "rmse 0.3536? [" in done.stdout
    finally:
        second.kill()
        second.stop()


def test_three_replicas_on_a_real_redis(model: Upstream, tmp_path: Path) -> None:
    """Labels to any of them; one is killed, Redis is restarted: nothing counts twice, and the cohorts are the truth."""
    with ExitStack() as stack:
        server = stack.enter_context(RedisServer(tmp_path / "r"))
        flags = (*FLAGS, "--label-store", f"{server.url}#fraud")
        replicas = [placed(tmp_path / f"s{number}", model, flags) for number in range(3)]
        for replica in replicas:
            stack.callback(replica.stop)
            stack.callback(replica.kill)
        for replica in replicas:
            replica.started()
        for replica in replicas:
            ready(replica)
        ids = [f"p{number}" for number in range(30)]
        for place, replica in enumerate(replicas):
            predict(replica, *ids[place::3])
        wait_until(lambda: cohorts(replicas[0])[0] == 30, "all rows are in a cohort", SECONDS)
        # Each label at a replica that did not see the prediction, and again at another one.
        for place, replica in enumerate(replicas):
            assert feed(replica, *ids[:20][(place + 1) % 3 :: 3], label=ANSWER)["joined"] in (6, 7)
        for place, replica in enumerate(replicas):
            assert set(feed(replica, *ids[:20][place::3], label=ANSWER)) <= {"duplicate", "corrected"}
        joined = [metric(replica, "model_label_joined_total") for replica in replicas]
        assert sum(joined) == 20
        wait_until(lambda: cohorts(replicas[0]) == (30, 20), "the cohorts know all", SECONDS)
        replicas[2].kill()
        server.kill()
        server.start()
        wait_until(lambda: metric(replicas[0], "modeltap_label_store_up") == 1, "Redis is back", SECONDS)
        found = feed(replicas[0], *ids, label=ANSWER)
        assert found.pop("lost", 0) in (0, 30)
        wait_until(
            lambda: feed(replicas[0], *ids, label=ANSWER).keys() <= {"duplicate", "corrected"},
            "it joins",
            SECONDS,
        )
        wait_until(lambda: cohorts(replicas[1]) == (30, 30), "every row once", SECONDS)
        live = sum(metric(replica, "model_label_joined_total") for replica in replicas[:2])
        assert live == joined[0] + joined[1] + 10
        for replica in replicas[:2]:
            wait_until(
                lambda one=replica: metric(one, "modeltap_label_store_rows", state="predictions") == 30,
                "each knows the whole store",
                SECONDS,
            )
