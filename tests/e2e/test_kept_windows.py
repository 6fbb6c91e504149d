"""Rolling windows over restarts of the whole sidecar and of its analysis; counters start anew."""

from pathlib import Path

from tests.e2e import sidecar
from tests.e2e.client import Ledger, connected, inference_request
from tests.e2e.exposition import samples, scrape, total
from tests.e2e.processes import wait_until
from tests.e2e.sidecar import Tapped, tapped

MODEL = "echo"
BODY = inference_request([{"x": float(n)} for n in range(3)])
REQUESTS = 40


def rows(tap: Tapped) -> float:
    """In the window of an hour, of the first output or input that is there."""
    values = samples(scrape(tap.at.metrics))
    return total(values, "model_window_rows", window="1h", feature="x")


def counted(tap: Tapped) -> float:
    return total(samples(scrape(tap.at.metrics)), "model_feature_bin_total", feature="x")


def test_windows_outlive_restarts_and_counters_do_not(tmp_path: Path) -> None:
    """Stopped and started, then the analysis killed: the rows of the first life are in the window alone."""
    state = tmp_path / "state"
    state.mkdir()
    flags = ("--state-dir", str(state), "--tick-interval", "0.1", "--series-hold", "0")
    with tapped(tmp_path, flags) as tap, connected(tap.at.proxy, Ledger(), seed=1) as client:
        for _ in range(REQUESTS):
            client.infer(MODEL, BODY)
        wait_until(lambda: rows(tap) == 3 * REQUESTS, "all rows are in the window")
        assert counted(tap) == 3 * REQUESTS
    assert (state / "windows").exists()
    with tapped(tmp_path, flags) as tap:
        wait_until(lambda: rows(tap) == 3 * REQUESTS, "the window is back")
        assert counted(tap) == 0
        killed = wait_until(lambda: sidecar.analysis(tap.process), "an analysis runs")
        killed.kill()
        wait_until(lambda: _another(tap, killed.pid), "the analysis is replaced")
        wait_until(lambda: rows(tap) == 3 * REQUESTS, "the window is back again")
        values = samples(scrape(tap.at.metrics))
        assert total(values, "modeltap_window_snapshots_total", outcome="restored") == 1
        assert total(values, "modeltap_window_snapshots_total", outcome="corrupt") == 0
        with connected(tap.at.proxy, Ledger(), seed=2) as client:
            client.infer(MODEL, BODY)
        wait_until(lambda: rows(tap) == 3 * REQUESTS + 3, "new rows are added to the old")
        assert counted(tap) == 3


def _another(tap: Tapped, pid: int) -> bool:
    found = sidecar.analysis(tap.process)
    return found is not None and found.pid != pid
