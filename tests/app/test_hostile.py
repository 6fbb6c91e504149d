"""Decoders at their worst, in the real analysis: they die, allocate without end, spin. No exchange may notice."""

from contextlib import ExitStack
from pathlib import Path

from tests.app.command import Sidecar, python_path
from tests.app.conftest import Start
from tests.app.load import load
from tests.app.quota import quota
from tests.app.test_root import assert_ledger, settled
from tests.app.upstream import ANSWER
from tests.e2e.processes import wait_until

HOSTILE = python_path(Path(__file__).parent / "hostile")
RETRIES = 100


def send(sidecar: Sidecar, model: str) -> None:
    """One exchange whose decoding does not end well, while the exchange does."""
    assert sidecar.post(f"/v2/models/{model}/infer") == (200, ANSWER)


def deaths(sidecar: Sidecar) -> int:
    """How often the analysis ended, for any reason."""
    return sum(
        count for (component, _), count in sidecar.page().restarts().items() if component == "analysis"
    )


def test_a_poison_body(start: Start) -> None:
    """A body that kills its decoder, retried a hundred times, costs three restarts; all of them are counted."""
    sidecar = start("--series-hold", "0", environment=HOSTILE)
    for number in range(RETRIES):
        if number < 3:
            sidecar.metrics()  # there is an analysis to poison
        send(sidecar, "dies")
        if number < 3:
            wait_until(lambda number=number: deaths(sidecar) == number + 1, "the analysis dies of it", 30)
    wait_until(lambda: settled(sidecar.metrics()), "everything is settled", 30)
    metrics = sidecar.metrics()
    assert deaths(sidecar) == 3
    assert metrics.total("modeltap_restarts_total", component="analysis", reason="signal") == 3
    assert metrics.total("model_request_duration_seconds_count", code="200") == RETRIES
    assert metrics.total("model_request_errors_total") == 0
    assert_ledger(metrics)


def test_under_a_quota(start: Start) -> None:
    """With 300m of CPU and 128 MiB, a decoder that allocates without end and one that spins are ended and counted.

    All the while every answer is right to the byte, none fails, and the counts are exact.
    """
    with quota() as bounds, ExitStack() as stack:
        sidecar = start("--series-hold", "0", *bounds.flags, environment=HOSTILE, prefix=bounds.prefix)
        stack.callback(sidecar.kill)
        sidecar.metrics()
        with load(sidecar.listen, threads=2, pause=0.01) as traffic:
            for number, model in enumerate(("grows", "spins")):
                so_far = traffic.finished
                send(sidecar, model)
                wait_until(lambda number=number: deaths(sidecar) == number + 1, f"what {model} is ended", 60)
                wait_until(lambda so_far=so_far: traffic.finished > so_far + 20, "traffic goes on", 60)
                sidecar.metrics()
        wait_until(lambda: settled(sidecar.metrics()), "everything is settled", 60)
        metrics = sidecar.metrics()
        restarts = sidecar.page().restarts()
    assert restarts["analysis", "hung"] == 1
    assert restarts["analysis", "memory"] == 1
    assert traffic.answers == {200: traffic.finished}
    assert (traffic.broken, traffic.wrong) == (0, 0)
    assert metrics.total("model_request_duration_seconds_count", code="200") == traffic.finished + 2
    assert metrics.total("model_request_errors_total") == 0
    assert_ledger(metrics)


def test_the_kernel_never_has_to_end_it(start: Start) -> None:
    """In 128 MiB whatever allocates, by the MiB, in leaps or in crumbs, is refused before the group is full."""
    with quota() as bounds, ExitStack() as stack:
        sidecar = start("--series-hold", "0", *bounds.flags, environment=HOSTILE, prefix=bounds.prefix)
        stack.callback(sidecar.kill)
        for number, model in enumerate(("grows", "leaps", "creeps")):
            sidecar.metrics()
            send(sidecar, model)
            wait_until(lambda number=number: deaths(sidecar) == number + 1, f"what {model} is ended", 60)
        assert sidecar.page().restarts()["analysis", "memory"] == 3
        assert bounds.oom_kills() == 0
