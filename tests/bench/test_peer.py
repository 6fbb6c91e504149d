"""What a process tree has cost, by role; and what the sidecar's own books say."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.charge import observed_percent
from bench.errors import MeasureError
from bench.peer import Account, Peer, Site, Target
from bench.peers import PEERS, haproxy, nginx, sidecar
from bench.processes import Running

SITE = Site(listen=1001, upstream=1002, admin=1003, health=1004, folder=Path())
SIDECAR = Target(sidecar.PEER, SITE, 1001, None)


def test_spent_by_role() -> None:
    """The root is the data plane, what it started is the analysis, the total is both."""
    spent = SIDECAR.spent({10: 1.0, 11: 2.0}, {10: 1.5, 11: 2.25, 12: 0.5})
    assert spent == {"": 1.25, "data plane": 0.5, "analysis": 0.75}


def test_spent_refuses_a_tree_that_lost_a_process() -> None:
    """CPU of a process that ended in between cannot be known, so there is no figure."""
    with pytest.raises(MeasureError, match="process 11"):
        SIDECAR.spent({10: 1.0, 11: 2.0}, {10: 1.5})


def test_no_proxy_has_no_processes() -> None:
    """A target without a process costs nothing and does not fail its checks."""
    SIDECAR.check()
    assert SIDECAR.pids() == []
    assert SIDECAR.rss() == {"": 0.0}


def test_moved_to_moves_the_data_plane_only(tmp_path: Path) -> None:
    """Inside the block the root runs elsewhere, the analysis stays, and afterwards all is as before."""
    inner = "import sys; print(flush=True); input()"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    command = [sys.executable, "-c", outer]
    allowed = os.sched_getaffinity(0)
    core = max(allowed)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        target = Target(sidecar.PEER, SITE, 1001, Running("tree", process, tmp_path / "log"))
        root, child = target.pids()
        with target.moved_to(core):
            assert os.sched_getaffinity(root) == {core}
            assert os.sched_getaffinity(child) == allowed
        assert os.sched_getaffinity(root) == allowed
        process.communicate(b"\n")


def test_total_sums_all_series_of_one_name() -> None:
    """Labels may contain braces and spaces; names that only begin alike are not counted."""
    series = ['a_total{reason="x} 5"} 2', 'a_total{reason="y"} 3.5', "a_total_more 100", "a_total 1 170"]
    text = "\n".join(["# HELP a_total x", *series])
    assert sidecar.total(text, "a_total") == 6.5
    assert sidecar.total(text, "absent") == 0.0


def test_account_without_an_answer() -> None:
    """A sidecar whose metrics cannot be read has no figures, and the address is told."""
    with pytest.raises(MeasureError, match="no metrics from"):
        sidecar.account(SITE)


def test_observed_percent() -> None:
    """What was dropped was not observed; a count that is not the load generator's is an error."""
    assert observed_percent(Account(100.0, 25.0), requests=98, slack=2) == 75.0
    assert observed_percent(Account(0.0, 0.0), requests=0, slack=0) == 0.0
    with pytest.raises(MeasureError, match="100 exchanges"):
        observed_percent(Account(100.0, 0.0), requests=97, slack=2)


def test_names_are_distinct() -> None:
    """A peer's name is its row and its folder, so none occurs twice."""
    names = [peer.name for peer in PEERS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("peer", [haproxy.PEER, nginx.PEER])
def test_configurations_name_both_ports(peer: Peer, tmp_path: Path) -> None:
    """What is written for a program listens on the site's port and dials the upstream's, on loopback."""
    assert peer.command is not None
    argv = peer.command(Site(1001, 1002, 1003, 1004, tmp_path))
    written = Path(argv[-1]).read_text()
    assert "127.0.0.1:1001" in written
    assert "127.0.0.1:1002" in written
    assert "ssl" not in written


@pytest.mark.parametrize("peer", [haproxy.PEER, nginx.PEER])
def test_configurations_for_tls(peer: Peer, tmp_path: Path) -> None:
    """A site with a certificate gets it."""
    assert peer.command is not None
    site = Site(1001, 1002, 1003, 1004, tmp_path, certificate=tmp_path / "tls.pem")
    written = Path(peer.command(site)[-1]).read_text()
    assert f"{tmp_path}/tls.pem" in written
    assert "127.0.0.1:1001 ssl" in written


def test_sidecar_command() -> None:
    """The sidecar gets all four addresses, its variant one flag more."""
    argv = sidecar.command(SITE)
    assert argv[1:] == [
        *("run", "--upstream", "http://127.0.0.1:1002", "--listen", "127.0.0.1:1001"),
        *("--admin", "127.0.0.1:1003", "--health", "127.0.0.1:1004"),
    ]
    assert sidecar.without_capture(SITE) == [*argv, "--capture-bytes", "0"]
    secret = replace(SITE, certificate=Path("tls.pem"))
    assert sidecar.command(secret) == [*argv, "--tls-cert", "tls.pem", "--tls-key", "tls.pem"]
    build = sidecar.build("compiled", ["/opt/python", "-m", "exporter"])
    assert build.command is not None
    assert build.command(SITE) == ["/opt/python", "-m", "exporter", *argv[1:]]
    assert (build.root_role, build.child_role) == ("data plane", "analysis")
