"""The load generators against real servers, over TLS too: what they count and what they refuse."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import certificate, procfs, traffic
from bench.errors import MeasureError
from bench.load import idle, openloop, stream, tls
from bench.processes import Processes, free_port
from bench.scenario import Load
from bench.scenarios import idle as idle_scenario
from bench.servers import upstream

CORE = min(os.sched_getaffinity(0))


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """The upstream, a relay in front of it, and one that speaks TLS."""
    folder = tmp_path_factory.mktemp("load")
    pem = str(certificate.make(folder))
    flags: dict[str, list[str]] = {"upstream": [], "relay": [], "tls": ["--tls", pem]}
    with Processes(folder) as processes:
        found: dict[str, int] = {}
        for name, more in flags.items():
            module = "upstream" if name == "upstream" else "relay"
            port = free_port()
            command = [sys.executable, "-m", f"bench.servers.{module}", "--listen", str(port), *more]
            if module == "relay":
                command += ["--upstream", str(found["upstream"])]
            processes.start(name, command, CORE, port)
            found[name] = port
        yield found


def test_open_loop_takes_the_time_of_every_request(ports: dict[str, int]) -> None:
    """As many as the rate and the time make, each with a time above 0."""
    taken = openloop.run(ports["relay"], connections=4, rate=300.0, seconds=0.2)
    assert taken.requests == 60
    assert min(taken.nanoseconds) > 0


def test_who_waits_in_line_is_timed_from_when_it_was_due(ports: dict[str, int]) -> None:
    """A burst for one connection: most of the times overlap, so together they are far more than the whole took."""
    taken = openloop.run(ports["upstream"], connections=1, rate=1e6, seconds=0.0004)
    assert taken.requests == 400
    assert sum(taken.nanoseconds) > 10 * taken.seconds * 1e9


def test_open_loop_refuses_to_fall_behind(ports: dict[str, int]) -> None:
    """A rate that nobody can keep is an error, and what waits in line is bounded."""
    with pytest.raises(MeasureError, match="does not keep up"):
        openloop.run(ports["upstream"], connections=1, rate=1e6, seconds=1.2)


@pytest.mark.parametrize("name", ["upstream", "relay"])
def test_streams_are_read_token_by_token(ports: dict[str, int], name: str) -> None:
    """Two connections, one stream each: every token once, none before it was written."""
    tokens = stream.run(ports[name], connections=2, seconds=0.0)
    assert tokens.requests == 2 * traffic.TOKENS
    assert min(tokens.ages) > 0


def test_a_token_is_one_chunk_of_its_size() -> None:
    """What is sent for a token is a chunk of 60 bytes that the reader finds again."""
    chunk = traffic.token(7, 123)
    size, _, rest = chunk.partition(b"\r\n")
    assert (int(size, 16), len(rest)) == (traffic.TOKEN_BYTES, traffic.TOKEN_BYTES + 2)
    found = traffic.TOKEN.search(rest)
    assert found is not None
    assert (int(found[1]), int(found[2])) == (7, 123)


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (traffic.token(0, 1) + traffic.token(2, 1), "token 2 came where 1 was due"),
        (traffic.token(0, 1) + stream.LAST_CHUNK, "ended after 1 of 64"),
        (b"", "connection ended after 0"),
    ],
)
def test_a_lost_token_is_an_error(sent: bytes, problem: str) -> None:
    """A gap, an early end of the stream, an early end of the connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(sent)
        theirs.close()
        with pytest.raises(MeasureError, match=problem):
            stream.Stream(ours).read([])


def test_a_token_may_come_in_two_reads() -> None:
    """What a read cuts through is kept until the rest is there."""
    chunk = traffic.token(0, 1)
    ours, theirs = socket.socketpair()
    ages: list[int] = []
    with ours, theirs:
        reader = stream.Stream(ours)
        for part in (chunk[:20], chunk[20:]):
            theirs.sendall(part)
            assert not reader.read(ages)
    assert len(ages) == 1


@pytest.mark.parametrize("resume", [False, True])
def test_handshakes(ports: dict[str, int], resume: bool) -> None:
    """Full ones, or each resumed by the ticket before; a peer that does otherwise would be an error."""
    assert tls.run(ports["tls"], seconds=0.1, resume=resume).requests > 0


def test_a_failed_handshake_is_an_error() -> None:
    """Nobody there to shake hands with is told as a problem of the measurement."""
    with pytest.raises(MeasureError, match="refused"):
        tls.run(free_port(), seconds=0.1, resume=False)


def test_idle_connections_stand_inside_the_block(ports: dict[str, int]) -> None:
    """So many descriptors on both sides of the block's middle, and none of them after it."""
    before = procfs.descriptors(os.getpid())
    with idle.connected(ports["relay"], 100):
        assert procfs.descriptors(os.getpid()) == before + 100
    assert procfs.descriptors(os.getpid()) == before


def test_idle_connections_fit_the_limit() -> None:
    """10,000 where 20,500 descriptors are allowed, fewer with a note below that, a few in a quick run."""

    def load(descriptors: int, quick: bool = False) -> Load:
        here = Path()
        return Load(1.0, 0, 1, here, here, lambda: 1.0, descriptors, quick)

    assert [idle_scenario.connections(load(n)) for n in (65536, 20_500, 20_000)] == [10_000, 10_000, 9_750]
    assert idle_scenario.connections(load(65536, quick=True)) == 500
    assert "9,750 connections instead of 10,000" in idle_scenario.notes(9_750, load(20_000))[0]
    assert idle_scenario.notes(10_000, load(65536)) == ()


def test_the_upstream_knows_its_streams_by_the_target() -> None:
    """Only the whole target makes a stream or a large body."""
    assert traffic.request("GET", traffic.STREAM).startswith(upstream.STREAM)
    assert not traffic.request("GET", traffic.STREAM + "s").startswith(upstream.STREAM)
    assert traffic.request("GET", traffic.LARGE).startswith(upstream.LARGE)
