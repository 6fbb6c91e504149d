"""The instruments of the end-to-end tests: a check that cannot fail proves nothing."""

import sys
from pathlib import Path

import pytest
import yaml

from tests.e2e import rules
from tests.e2e.exposition import Watch, total
from tests.e2e.processes import LOOPBACK, NotReady, Program, free_ports, running, wait_until

BEFORE = 'model_request_duration_seconds_count{code="200"} 5\nmodel_connections_total{protocol="http1"} 2\n'


@pytest.mark.parametrize(
    ("after", "setbacks"),
    [
        (BEFORE, 0),
        (BEFORE.replace(" 5", " 6"), 0),
        (BEFORE.replace(" 5", " 4"), 1),
        (BEFORE.splitlines()[0], 1),
        ("", 2),
    ],
)
def test_watch_sees_counters_that_go_back_or_vanish(after: str, setbacks: int) -> None:
    """A lower value and a missing series are setbacks; growth is not."""
    watch = Watch()
    watch.see(BEFORE)
    watch.see(after)
    assert len(watch.setbacks) == setbacks


def test_watch_leaves_out_gauges_and_what_is_not_traffic() -> None:
    """What may go down, or starts again with the analysis, is not watched."""
    watch = Watch()
    watch.see("model_requests_in_flight 3\nmodel_predictions_total 9\nmodel_connections_open 2\n")
    watch.see("model_requests_in_flight 0\n")
    assert watch.setbacks == []


def test_total_sums_the_series_with_all_labels() -> None:
    """Only series of that very name that have every label are added."""
    values = {'a{x="1",y="2"}': 1.0, 'a{x="1",y="3"}': 2.0, 'ab{x="1"}': 4.0, "a": 8.0}
    assert total(values, "a", x="1") == 3.0
    assert total(values, "a", x="1", y="3") == 2.0
    assert total(values, "a") == 11.0


def test_short_rules_keep_all_but_durations(tmp_path: Path) -> None:
    """Ranges, `for`, `keep_firing_for` and intervals become short; expression, threshold and labels stay."""
    alert = {
        "alert": "A",
        "expr": "rate(x_total[5m]) / max_over_time(y[1h:30s]) > 0.05",
        "for": "10m",
        "keep_firing_for": "5m",
        "labels": {"severity": "critical"},
    }
    source = tmp_path / "a.yaml"
    source.write_text(yaml.safe_dump({"groups": [{"name": "g", "interval": "1m", "rules": [alert]}]}))
    short = yaml.safe_load(rules.shortened([source], tmp_path / "b.yaml").read_text())
    expected = {
        **alert,
        "expr": "rate(x_total[10s]) / max_over_time(y[10s]) > 0.05",
        "for": "2s",
        "keep_firing_for": "2s",
    }
    assert short == {"groups": [{"name": "g", "interval": "10s", "rules": [expected]}]}


def test_a_program_that_ends_at_once_fails_with_its_log(tmp_path: Path) -> None:
    """Whoever waits for a dead program is told what it said."""
    program = Program("short", [sys.executable, "-c", "print('no such luck')"], tmp_path, {})
    with pytest.raises(NotReady, match="no such luck"), running(program, f"http://{LOOPBACK}:1/"):
        pass


def test_a_failure_within_leaves_no_process(tmp_path: Path) -> None:
    """A program that ignores SIGTERM is gone after the block, and the failure passes through."""
    (port,) = free_ports(1)
    script = "import signal,sys,http.server as h; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    script += "h.test(h.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind='127.0.0.1')"
    program = Program("stubborn", [sys.executable, "-c", script, str(port)], tmp_path, {})
    with pytest.raises(ZeroDivisionError), running(program, f"http://{LOOPBACK}:{port}/") as process:
        raise ZeroDivisionError
    assert process.status is not None


def test_waiting_has_a_deadline() -> None:
    """What never comes true fails with what was waited for and what was seen."""
    with pytest.raises(NotReady, match="the end of time; last seen: 7"):
        wait_until(lambda: False, "the end of time", seconds=0, progress=lambda: 7)
