"""The fault matrix: every row with the framings that it runs in, or the reason why not."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from tests.faults.framings import ALL, CHUNKED, LENGTH, SSE, WEBSOCKET, Framing
from tests.faults.place import Places
from tests.faults.rows import clock, flow, hostile, life, limits, mixed, payloads, telemetry, upstream

Play = Callable[[Places, tuple[Framing, ...]], Awaitable[None]]


class Row(NamedTuple):
    """`reason` says what of the row is not run here, and why; `play` is None where that is all of it."""

    number: int
    title: str
    framings: tuple[Framing, ...] = ()
    play: Play | None = None
    reason: str = ""


KEPT = (LENGTH, CHUNKED, SSE)
MATRIX: tuple[Row, ...] = (
    Row(1, "model not listening", ALL, upstream.refused),
    Row(2, "model accepts and never answers", ALL, upstream.silent),
    Row(3, "model ends in every phase", ALL, upstream.killed),
    Row(3, "model process killed", ALL, upstream.process_killed),
    Row(4, "model closes an idle connection as the next request comes", KEPT, upstream.idle_closed),
    Row(5, "early answer", (LENGTH, CHUNKED), upstream.early),
    Row(6, "full duplex", (LENGTH, CHUNKED, WEBSOCKET), flow.full_duplex),
    Row(7, "half-close by either side", ALL, flow.half_close),
    Row(8, "reset by the client", ALL, flow.reset_by_client),
    Row(9, "client that does not read", ALL, flow.slow_reader),
    Row(9, "model behind a black hole", ALL, flow.black_hole),
    Row(10, "slow writer", ALL, flow.slow_writer),
    Row(11, "cut at every offset", KEPT, flow.sliced_everywhere),
    Row(12, "no descriptor is left", play=limits.descriptors),
    Row(12, "bound on connections", play=limits.connections),
    Row(12, "many idle connections", play=limits.idle),
    Row(
        13,
        "names that nobody knows",
        KEPT,
        limits.names,
        "a change of the addresses behind a name: tests/proxy/test_destination.py plays the resolver",
    ),
    Row(14, "telemetry backend", KEPT, telemetry.backend),
    Row(14, "sink of the payload log", KEPT, payloads.sink),
    Row(15, "disk full", KEPT, telemetry.disk),
    Row(15, "disk of the payload log full", KEPT, payloads.disk),
    Row(16, "log blocked", KEPT, telemetry.log),
    Row(17, "more bodies than may be kept", (LENGTH, CHUNKED), limits.capture),
    Row(17, "analysis without memory", (LENGTH, CHUNKED), limits.memory),
    Row(
        18,
        "wall clock jumps",
        ALL,
        clock.jumps,
        "leap seconds and slewing: the wall clock is read for time stamps only, so they are smaller jumps",
    ),
    Row(19, "event loop stalls", ALL, clock.stall),
    Row(20, "told to stop", ALL, life.told),
    Row(
        21,
        "killed and started again",
        (LENGTH, CHUNKED, SSE, WEBSOCKET),
        life.killed,
        "an answer that lasts until the close: the kernel's FIN for a killed process is its end, with any relay",
    ),
    Row(22, "model restarts", ALL, life.restarted),
    Row(23, "stopped and continued", ALL, clock.stopped, "30 s with FAULTS_SCALE=10"),
    Row(
        24,
        "hostile requests",
        play=hostile.requests,
        reason="of the collections that others keep only one lies beside the repository, and not everywhere",
    ),
    Row(25, "hostile answers", play=hostile.answers),
    Row(26, "sequences of every kind", play=hostile.sequences),
    Row(27, "Upgrade: h2c with a body", play=hostile.upgrade_to_h2c),
    Row(
        28,
        "HTTP/2 floods",
        play=hostile.http2,
        reason="budgets per frame: HTTP/2 is recognised and relayed unread, so there is no observer that could give up",
    ),
    Row(29, "label values without end", play=hostile.cardinality),
    Row(30, "malformed trace context", play=telemetry.contexts),
    Row(31, "scrape storm", ALL, telemetry.scrapes, "50 MB of series: their number is bounded (row 29)"),
    Row(
        32,
        "cannot start",
        play=life.wrong,
        reason="a port or file that is not permitted: root may everything; an address of nobody stands for it",
    ),
    Row(33, "soak", ALL, mixed.soak, "for hours: make soak; with FAULTS_SCALE as long as one likes"),
    Row(
        34,
        "fuzzing",
        reason="make fuzz, and in short in tests/fuzz: it is the follower that is fed, not a process",
    ),
    Row(
        35,
        "amplification",
        play=limits.amplification,
        reason="CPU and memory by kind of byte: tests/fuzz/test_amplification.py counts them against a server's parser",
    ),
    Row(
        36,
        "rolling update",
        play=life.rolled,
        reason="a cluster: a list of endpoints that learns late stands for it",
    ),
)
