"""The command as a user runs it, with what needs no other program; bounded, and no speed asserted."""

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench import __main__ as main
from bench import decode, plan, procfs
from bench.errors import SetupError
from bench.peers import PEERS
from bench.processes import ROOT
from bench.scenarios import SCENARIOS
from tests.e2e.processes import wait_until

COMMAND = [sys.executable, "-m", "bench"]
LIMIT_SECONDS = 60.0


def test_quick_run_end_to_end(tmp_path: Path) -> None:
    """Relay and direct: all figures valid, tables printed, JSON written, no problem told."""
    results = tmp_path / "results.json"
    names = "relay,direct,paced,latency,stream,download,tls-handshake,tls-resumed,idle,footprint"
    command = [*COMMAND, "--quick", "--seconds", "0.2", "--only", names, "--json", str(results)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(results.read_text())
    assert document["valid"] is True
    figures = {
        (scenario["name"], figure["peer"], figure["metric"]): figure["median"]
        for scenario in document["scenarios"]
        for figure in scenario["figures"]
    }
    for key in [
        ("paced", "relay", "cpu_us"),
        ("download", "relay", "throughput"),
        ("footprint", "relay", "rss"),
        ("stream", "relay", "cpu_us"),
        ("tls-resumed", "relay", "cpu_us"),
        ("idle", "relay", "memory"),
    ]:
        assert figures[key] > 0
    assert ("latency", "relay", "p50_added") in figures
    assert ("paced", "direct", "cpu_us") not in figures
    assert "latency: " in done.stdout


def test_a_build_of_the_sidecar_is_a_peer(tmp_path: Path) -> None:
    """`--build` measures another installation; the table for a page has its column, the header its Python."""
    page = tmp_path / "figures.md"
    command = [*COMMAND, "--quick", "--seconds", "0.2", "--only", "relay,footprint"]
    command += ["--build", f"again={sys.executable} -m exporter", "--markdown", str(page)]
    command += ["--json", str(tmp_path / "results.json")]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "again: Python 3." in done.stdout
    assert page.read_text().startswith("| figure | against | again | bar | goal |\n")
    document = json.loads((tmp_path / "results.json").read_text())
    ready = next(row for row in document["bars"] if row["unit"] == "ms")
    assert ready["reached"]["again"]["value"] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything(tmp_path: Path, number: signal.Signals) -> None:
    """Interrupted in the middle of a load: exit 130, and nothing that was started lives on."""
    command = [*COMMAND, "--quick", "--seconds", "30", "--only", "relay,latency"]
    command += ["--json", str(tmp_path / "results.json")]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "latency 1 relay" in line:
                break
        wait_until(lambda: len(procfs.descendants(process.pid)) == 3, "upstream and relay run", 20)
        children = procfs.descendants(process.pid)[1:]
        process.send_signal(number)
        assert process.wait(LIMIT_SECONDS) == 130
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert list(tmp_path.glob("modeltap-bench-*")) == []


def test_options_are_refused_all_at_once(tmp_path: Path) -> None:
    """One message names every problem of the options; the exit status is 2."""
    options = ["--rounds", "0", "--seconds", "99", "--only", "nobody", "--json", str(tmp_path / "no" / "x")]
    options += ["--build", "Bad=x", "--build", "nginx=x", "--build", "empty="]
    options += ["--markdown", str(tmp_path / "no" / "y")]
    done = subprocess.run(
        [*COMMAND, *options], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    assert done.returncode == 2
    told = [
        "--rounds 0",
        "--seconds 99",
        "unknown nobody",
        "--build Bad=x",
        "nginx is taken",
        "--build empty=",
    ]
    for text in (*told, f"--json {tmp_path}", f"--markdown {tmp_path}"):
        assert text in done.stderr


def test_decoding_is_measured_with_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole run has the table of decoding, a quick one in one round; a run of parts leaves it out."""
    rounds = [plan.make(plan.parser().parse_args(words)).decode_rounds for words in ([], ["--quick"])]
    assert rounds == [plan.DECODE_ROUNDS, plan.QUICK_DECODE_ROUNDS]
    assert plan.make(plan.parser().parse_args(["--only", "relay,latency"])).decode_rounds == 0
    few = list(itertools.islice(decode.cases(), 3))
    monkeypatch.setattr(decode, "cases", lambda: iter(few))
    assert [figure["exchange"] for figure in main._decoded(1)] == [case.name for case in few]
    assert main._decoded(0) == []


def test_the_tables_of_the_analysis_are_printed_with_everything() -> None:
    """So are those of the other programs, in as many rounds."""
    rounds = [plan.make(plan.parser().parse_args(words)).table_rounds for words in ([], ["--quick"])]
    assert rounds == [plan.TABLE_ROUNDS, 1]
    assert plan.make(plan.parser().parse_args(["--only", "relay,latency"])).table_rounds == 0


def test_selection() -> None:
    """Naming none of a kind means all of it; variants come on request only, or by name."""
    peers, scenarios = plan.select("", variants=False)
    assert peers == tuple(peer for peer in PEERS if not peer.variant)
    assert scenarios == SCENARIOS
    assert plan.select("", variants=True)[0] == PEERS
    peers, scenarios = plan.select("sidecar-no-capture, latency", variants=False)
    assert [peer.name for peer in peers] == ["sidecar-no-capture"]
    assert [scenario.name for scenario in scenarios] == ["latency"]
    with pytest.raises(SetupError, match="unknown nobody"):
        plan.select("nobody", variants=False)
    with pytest.raises(SetupError, match="no peer of this selection takes part in features"):
        plan.select("relay,features,keepalive", variants=False)


def test_peers_take_part_where_they_tell_something() -> None:
    """The slow peer only where a figure is held against it, no proxy only where something is added to it."""
    made = plan.parse(["--quick"])
    assert made is not None
    names = {one.name: [peer.name for peer in made.taking_part(one)] for one in made.scenarios}
    assert [name for name, peers in names.items() if "aiohttp" in peers] == [
        "keepalive",
        "paced",
        "footprint",
    ]
    assert names["features"] == ["sidecar"]
    assert names["tls"] == ["relay", "haproxy", "nginx", "sidecar"]
    assert "direct" in names["stream"]
    assert "direct" not in names["keepalive"]
    assert all(peers for peers in names.values())
    assert names.keys() == {scenario.name for scenario in SCENARIOS}


def test_a_whole_run_is_bounded() -> None:
    """With everything left as it is, a run is planned for about twenty-five minutes."""
    made = plan.parse([])
    assert made is not None
    assert 900 < made.estimate_seconds < 1560


def test_peers_are_warmed_once_for_each_way_they_stand() -> None:
    """The first timed scenario as they are by default, over TLS and for streams; none in a quick run."""
    made, quick = plan.parse([]), plan.parse(["--quick"])
    assert made is not None
    assert quick is not None
    assert {scenario.name for scenario in made.warmed_by()} == {"keepalive", "stream", "tls"}
    assert quick.warmed_by() == []


def test_names_do_not_collide() -> None:
    """`--only` takes peers and scenarios, so no name may be both."""
    names = [peer.name for peer in PEERS] + [scenario.name for scenario in SCENARIOS]
    assert len(set(names)) == len(names)


def test_quick_gives_way_to_what_is_said() -> None:
    """`--quick` is one round of one second without warm-up, unless a number is given."""
    quick = plan.parse(["--quick", "--only", "latency"])
    longer = plan.parse(["--quick", "--rounds", "3", "--only", "latency"])
    assert quick is not None
    assert longer is not None
    assert (quick.rounds, quick.seconds, quick.warm) == (1, 1.0, False)
    assert (longer.rounds, longer.seconds) == (3, 1.0)


def test_programs_follow_the_selection() -> None:
    """What is not selected need not be installed."""
    made = plan.parse(["--only", "relay,direct,latency"])
    assert made is not None
    assert made.programs == []
