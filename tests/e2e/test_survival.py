"""The sidecar while its own processes stop or die: traffic flows, health answers, no counter goes back."""

import os
import signal
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import psutil

from tests.e2e import sidecar
from tests.e2e.client import Client, Ledger, connected, inference_request
from tests.e2e.exposition import Watch, samples, scrape, total
from tests.e2e.load import BROKEN, Load, calling
from tests.e2e.processes import answers, wait_until
from tests.e2e.sidecar import Tapped, tapped

MODEL = "echo"
BODY = inference_request([{"x": float(n)} for n in range(3)])
SCRAPES = 1000
KILL_ANALYSIS_AT = (150, 400, 650, 900)
KILL_WORKER_AT = (250, 750)
REQUESTS_WHILE_STOPPED = 50


def _analysis(tap: Tapped) -> psutil.Process:
    """The analysis, waited for while it is being restarted."""
    return wait_until(lambda: sidecar.analysis(tap.process), "an analysis runs", process=tap.process)


def requests_counted(tap: Tapped, code: str) -> float:
    """What the sidecar counted, over all label sets of that code."""
    values = samples(scrape(tap.at.metrics))
    return total(values, "model_request_duration_seconds_count", operation="predict", code=code)


def test_health_and_traffic_do_not_need_the_analysis(tmp_path: Path) -> None:
    """With the analysis stopped, /livez and /readyz answer 200 and requests are served; all are counted."""
    ledger = Ledger()
    with tapped(tmp_path) as tap, connected(tap.at.proxy, ledger, seed=1) as client:
        client.infer(MODEL, BODY)
        stopped = wait_until(
            lambda: _served_while_stopped(tap, client), "served with the analysis stopped throughout"
        )
        # It does not beat, so it is replaced; the counts are not the analysis's to lose.
        wait_until(lambda: _analysis(tap).pid != stopped.pid, "the stopped analysis is replaced")
        sent = ledger.answers[MODEL, "200"]
        assert ledger.answers.total() == sent > REQUESTS_WHILE_STOPPED
        wait_until(lambda: requests_counted(tap, "200") == sent, f"{sent} requests are counted")


def _served_while_stopped(tap: Tapped, client: Client) -> psutil.Process | None:
    """Stop the analysis, use the sidecar; None if the analysis was replaced before the end."""
    analysis = _analysis(tap)
    try:
        os.kill(analysis.pid, signal.SIGSTOP)
        for name in ("livez", "readyz"):
            assert answers(tap.at.health_url(name)), f"/{name} with the analysis stopped"
        for _ in range(REQUESTS_WHILE_STOPPED):
            assert client.infer(MODEL, BODY).code == 200
        return analysis if analysis.status() == psutil.STATUS_STOPPED else None
    except (psutil.NoSuchProcess, ProcessLookupError):
        return None


def test_no_counter_goes_back_when_the_analysis_dies(tmp_path: Path) -> None:
    """1,000 scrapes under load, four deaths of the analysis: no setback, every request is counted."""
    with tapped(tmp_path) as tap:
        with calling(tap.at.proxy, MODEL, BODY) as load:
            watch = _scrape_through(tap, load, dict.fromkeys(KILL_ANALYSIS_AT, _kill_analysis))
        assert watch.setbacks == []
        assert load.broken == 0
        assert set(load.answers) == {"200"}
        sent = load.answers["200"]
        wait_until(lambda: requests_counted(tap, "200") == sent, f"{sent} requests are counted")
        assert _restarts(tap, "analysis") == len(KILL_ANALYSIS_AT)
        assert _in_flight(tap) == 0


def test_no_counter_goes_back_when_a_worker_dies(tmp_path: Path) -> None:
    """The same with two workers, one of them killed twice: only the requests in its hands are in doubt."""
    kills = dict.fromkeys(KILL_ANALYSIS_AT, _kill_analysis) | dict.fromkeys(KILL_WORKER_AT, _kill_worker)
    with tapped(tmp_path, ["--workers", "2"]) as tap:
        with calling(tap.at.proxy, MODEL, BODY) as load:
            watch = _scrape_through(tap, load, kills)
        assert watch.setbacks == []
        assert set(load.answers) == {"200"}
        sent = load.answers["200"]
        assert _restarts(tap, "analysis") == len(KILL_ANALYSIS_AT)
        assert _restarts(tap, "data_plane") == len(KILL_WORKER_AT)
        assert load.broken > 0, "no worker died with a request in its hands"
        # A worker may die between the last byte to the client and the count, or the other way round.
        wait_until(
            lambda: abs(_all_counted(tap) - sent) <= load.broken,
            f"{sent} requests are counted, {load.broken} are in doubt",
            progress=lambda: _all_counted(tap),
        )
        wait_until(lambda: _in_flight(tap) == 0, "nothing is in flight, the dead worker's requests included")


def _scrape_through(tap: Tapped, load: Load, kills: Mapping[int, Callable[[Tapped], None]]) -> Watch:
    """SCRAPES answered scrapes, with a kill before those in `kills`; traffic goes on between them."""
    watch = Watch()
    for number in range(SCRAPES):
        if number in kills:
            before = load.finished
            kills[number](tap)
            wait_until(partial(_moved, load, before), "traffic goes on after the kill")
        watch.see(wait_until(lambda: _try_scrape(tap), "a scrape is answered", process=tap.process))
    return watch


def _moved(load: Load, before: int) -> bool:
    return load.finished > before


def _try_scrape(tap: Tapped) -> str | None:
    try:
        return scrape(tap.at.metrics)
    except BROKEN:  # the analysis died with this scrape in its hands
        return None


def _kill_analysis(tap: Tapped) -> None:
    _analysis(tap).kill()


def _kill_worker(tap: Tapped) -> None:
    """The one with the most connections, so that it dies with requests in its hands."""
    workers = wait_until(lambda: _two_workers(tap), "two workers run")
    max(workers, key=lambda worker: len(worker.net_connections())).kill()


def _two_workers(tap: Tapped) -> list[psutil.Process] | None:
    found = sidecar.workers(tap.process)
    return found if len(found) == 2 else None


def _all_counted(tap: Tapped) -> float:
    return total(samples(scrape(tap.at.metrics)), "model_request_duration_seconds_count", operation="predict")


def _restarts(tap: Tapped, component: str) -> float:
    return total(samples(scrape(tap.at.metrics)), "modeltap_restarts_total", component=component)


def _in_flight(tap: Tapped) -> float:
    return total(samples(scrape(tap.at.metrics)), "model_requests_in_flight")
