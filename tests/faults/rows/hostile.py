"""Rows 24 to 29: bytes that nobody should send, from either side, in every mode; and names without end."""

import json
import random
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from exporter.wire.sniff import sniff
from tests.faults.ends import End
from tests.faults.framings import Framing, Labels
from tests.faults.ledger import undone
from tests.faults.model import Part
from tests.faults.place import BOUNDED, GATE, OBSERVE, STRICT, Places, together
from tests.faults.scale import times
from tests.faults.stage import Stage, staged
from tests.proxy.clients import answer, chunked
from tests.wire.test_llhttp_oracle import from_corpus

Framings = tuple[Framing, ...]
VECTORS = Path(__file__).parents[2] / "vectors" / "http1"
OTHER = Labels("unknown", "other", "unknown")
AT_ONCE = 16


class Vector:
    """One stored message and what is to be seen in it."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.raw = path.read_bytes()
        expected = json.loads(path.with_suffix(".expected.json").read_text())
        self.parts: list[list[str]] = expected["parts"]
        self.methods: list[str] = expected.get("methods", [])
        self.heads = sum(part[0] == "head" for part in self.parts)
        self.reasons = [part[1] for part in self.parts if part[0] == "desync"]


def vectors(direction: str) -> list[Vector]:
    """Requests or responses."""
    return [Vector(path) for path in sorted((VECTORS / direction).glob("*.http"))]


async def _in_lanes(work: Iterable[object], play: object) -> None:
    """Side by side, but not all at once."""
    items = iter(work)

    async def lane() -> None:
        for item in items:
            await play(item)  # type: ignore[operator]

    await together(*(lane() for _ in range(AT_ONCE)))


# ---------------------------------------------------------------- requests


async def requests(places: Places, framings: Framings) -> None:
    """Row 24: relayed as they came (observe), but for the added line (annotate), or refused (gate, strict)."""
    ours, theirs = vectors("requests"), [case.raw for case in from_corpus() if case.requests]
    modes = await together(*(places.shared(*flags) for flags in ((), OBSERVE, GATE, STRICT)))
    for place in modes[:2]:
        async with staged(place) as stage:
            await _relayed(stage, [vector.raw for vector in ours])
            stage.ledger.free("exchanges", "sized", "errors", "offered")
            followed = [vector for vector in ours if sniff(vector.raw) == "http1"]
            for reason, count in Counter(reason for vector in followed for reason in vector.reasons).items():
                stage.ledger.entry("desyncs", "request", reason, times=count)
            await stage.alive()
        async with staged(place) as stage:
            await _relayed(stage, theirs)
            stage.ledger.free("exchanges", "sized", "errors", "offered", "desyncs")
            await stage.alive()
    for place in modes[2:]:
        async with staged(place) as stage:
            await _in_lanes(ours, lambda vector, stage=stage: _refused(stage, vector))
            stage.ledger.free("exchanges", "sized", "errors", "offered", "desyncs")
            stage.ledger.some_of("connections", len(ours) + 3)
            await stage.alive()


async def _relayed(stage: Stage, raws: list[bytes]) -> None:
    """Every stream arrives, whatever it is; a model that says nothing more ends with what the client ended with."""

    async def reads(model: End) -> None:
        await model.read_all()

    stage.model.anonymous_part = Part(reads)

    async def send(raw: bytes) -> None:
        client = await stage.client()
        await client.send(raw)
        client.fin()
        await client.ended()
        assert not client.received

    # What becomes of the upgrade to h2c is row 27.
    raws = [raw for raw in raws if not stage.edited or b"h2c" not in raw]
    await _in_lanes(raws, send)
    stage.ledger.some_of("connections", len(raws) + 3)
    sent = Counter(raws)
    got = Counter(_plain(bytes(end.received), stage.edited) for end in stage.model.anonymous)
    assert not got - sent, [raw[:200] for raw in got - sent]
    # What ends before a request begins may never be worth a connection to the model.
    assert not [raw for raw in sent - got if raw.strip(b"\r\n")], [raw[:200] for raw in sent - got]


def _plain(received: bytes, edited: bool) -> bytes:
    return undone(received) if edited else received


async def _refused(stage: Stage, vector: Vector) -> None:
    """What is uncertain from its first byte gets 400 and reaches no model; what becomes so later is not answered."""

    async def reads(model: End) -> None:
        await model.read_all()

    stage.model.anonymous_part = Part(reads)
    client = await stage.client()
    try:
        await client.send(vector.raw)
        client.fin()
    except OSError:  # it was ended before it was said
        client.over = client.over or "reset"
    await client.ended()
    if vector.parts[0][0] == "desync" and vector.raw[:1] != b"\x16":
        assert client.received.startswith(b"HTTP/1.1 400 "), (vector.name, bytes(client.received))
    elif vector.reasons:
        # Behind a request that this model never answers there is no place for a refusal: it ends as the model does.
        assert client.over and (not client.received or client.received.startswith(b"HTTP/1.1 4")), vector.name
    client.close()


# ---------------------------------------------------------------- answers


async def answers(places: Places, framings: Framings) -> None:
    """Row 25: whatever a model says goes on as it came, is counted, and costs no memory."""
    stored = vectors("responses")
    for flags in ((), OBSERVE):
        async with staged(await places.shared(*flags)) as stage:
            stage.growth = 24 << 20
            await _in_lanes(
                (vector for vector in stored if vector.methods),
                lambda vector, stage=stage: _answered(stage, vector),
            )
            for vector in stored:
                if not vector.methods:
                    await _greeted(stage, vector.raw)
            await together(
                _unasked(stage),
                _endless_head(stage),
                _flood_of_interim(stage),
                _left_over(stage),
                stage.alive(),
            )
            stage.ledger.free("exchanges", "sized", "errors", "offered", "connections")
            for reason, count in Counter(reason for vector in stored for reason in vector.reasons).items():
                stage.ledger.entry("desyncs", "response", reason, times=count)


async def _answered(stage: Stage, vector: Vector) -> None:
    heads = len(vector.methods)

    async def script(model: End) -> None:
        for _ in range(heads):
            await model.read_to(b"\r\n\r\n")
        await model.send(vector.raw)
        model.fin()
        await model.read_all()

    async def play(client: End, case: str) -> None:
        lines = [
            f"{method} {'a:1' if method == 'CONNECT' else '/'} HTTP/1.1\r\nHost: a\r\nX-Case: ?case={case}{end}\r\n\r\n"
            for method, end in zip(vector.methods, ("", *(f"-{n}" for n in range(1, heads))), strict=False)
        ]
        for number in range(1, heads):
            stage.further(case, number)
        await client.send("".join(lines).encode())
        await client.read_all()

    got = await stage.both(script, play)
    assert (got.received, got.over) == (vector.raw, "fin"), vector.name


async def _greeted(stage: Stage, greeting: bytes) -> None:
    """The model speaks before anybody asked."""
    stage.model.greeting = greeting
    client = await stage.client()
    assert await client.read_bytes(len(greeting)) == greeting
    stage.model.greeting = b""
    client.close()


async def _unasked(stage: Stage) -> None:
    """The model says more than it was asked for, and goes on."""
    greeting = b"220 ready\r\n"

    async def script(model: End) -> None:
        await model.read_to(b"\r\n\r\n")
        await model.send(answer(b"{}") + greeting)
        await model.read_all()

    case = stage.case(script)
    client = await stage.client()
    await client.send(f"GET /?case={case} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    whole = answer(b"{}") + greeting
    assert await client.read_bytes(len(whole)) == whole
    stage.ledger.entry("desyncs", "response", "unsolicited_response")
    client.close()


async def _endless_head(stage: Stage) -> None:
    """10 MB of head."""
    whole = (
        b"HTTP/1.1 200 OK\r\n" + b"X-Padding: %b\r\n" % (b"x" * 1000) * 10_000 + b"Content-Length: 0\r\n\r\n"
    )
    await _said(stage, whole)
    stage.ledger.entry("desyncs", "response", "head_too_large")


async def _flood_of_interim(stage: Stage) -> None:
    """2,000 interim answers are none; the final one is."""
    await _said(stage, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 2000 + answer(b"{}"))


async def _left_over(stage: Stage) -> None:
    """More than its length says."""
    await _said(stage, answer(b"{}") + b"and more")
    stage.ledger.entry("desyncs", "response", "unsolicited_response")


async def _said(stage: Stage, whole: bytes) -> None:
    async def script(model: End) -> None:
        await model.read_to(b"\r\n\r\n")
        await model.send(whole)
        model.fin()
        await model.read_all()

    async def play(client: End, case: str) -> None:
        await client.send(f"GET /?case={case} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        await client.read_all()

    assert (await stage.both(script, play)).received == whole


# ---------------------------------------------------------------- sequences


async def sequences(places: Places, framings: Framings) -> None:
    """Row 26: pipelined requests of every kind, answers of every kind: each is counted as what it was."""
    async with staged(await places.shared()) as stage:
        await together(*(_sequence(stage, random.Random(seed)) for seed in range(times(12))), stage.alive())


_BODIES: dict[str, tuple[str, bytes]] = {
    "length": ("200 OK", answer(b"some body")),
    "empty": ("200 OK", answer(b"")),
    "chunked": (
        "201 Created",
        b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked([b"a", b"bc"]),
    ),
    "none": ("204 No Content", b"HTTP/1.1 204 No Content\r\n\r\n"),
    "reset": ("205 Reset Content", answer(b"", "205 Reset Content")),
    "unchanged": ("304 Not Modified", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 70\r\n\r\n"),
    "interim": ("202 Accepted", b"HTTP/1.1 103 Hints\r\n\r\n" * 3 + answer(b"late", "202 Accepted")),
    "wrong": ("422 Unprocessable", answer(b"{}", "422 Unprocessable")),
}
_HEAD = b"HTTP/1.1 203 Head\r\nContent-Length: 1000\r\n\r\n"
_LAST = {
    "close": ("206 Partial", b"HTTP/1.1 206 Partial\r\n\r\nuntil the end", "http1"),
    "switch": (
        "101 Switching",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nframes",
        "upgraded",
    ),
    "": ("", b"", "http1"),
}


async def _sequence(stage: Stage, choice: random.Random) -> None:
    """HEAD has an answer of its own, so that a wrong pairing would show in the codes."""
    kinds = [
        (choice.choice(("GET", "HEAD", "POST")), choice.choice(sorted(_BODIES)))
        for _ in range(choice.randint(2, 12))
    ]
    last = choice.choice(sorted(_LAST))
    said = [_HEAD if method == "HEAD" else _BODIES[kind][1] for method, kind in kinds]

    async def script(model: End) -> None:
        for whole in said:
            await model.read_message()
            await model.send(whole)
        if last:
            await model.read_message()
            await model.send(_LAST[last][1])

    case = stage.case(script)
    client = await stage.client(spoken=_LAST[last][2])
    methods = [method for method, _ in kinds] + (["GET"] if last else [])
    asked = [_asked(method, case if not at else stage.further(case, at)) for at, method in enumerate(methods)]
    await client.send(b"".join(asked))
    await client.ended()
    assert bytes(client.received) == b"".join(said) + _LAST[last][1]
    for method, kind in kinds:
        code = "203" if method == "HEAD" else _BODIES[kind][0][:3]
        stage.ledger.exchange(OTHER, code)
    if last:
        stage.ledger.exchange(OTHER, _LAST[last][0][:3])


def _asked(method: str, case: str) -> bytes:
    body = b"{}" if method == "POST" else b""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} /any?case={case} HTTP/1.1\r\nHost: a\r\n{length}\r\n".encode() + body


# ---------------------------------------------------------------- h2c


async def upgrade_to_h2c(places: Places, framings: Framings) -> None:
    """Row 27: the upgrade that Java clients ask for is taken out, so that no server loses the body; but in observe."""
    body = b"the body"
    lines = (
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
    )
    for flags in ((), OBSERVE):
        async with staged(await places.shared(*flags)) as stage:

            async def script(model: End) -> None:
                message = await model.read_message()
                await model.send(answer(message.body))
                await model.read_all()

            case = stage.case(script)
            client = await stage.client()
            head = "\r\n".join(
                [f"POST /any?case={case} HTTP/1.1", "Host: a", *lines, f"Content-Length: {len(body)}"]
            )
            await client.send(head.encode() + b"\r\n\r\n" + body)
            whole = answer(body)
            assert await client.read_bytes(len(whole)) == whole
            got = _plain(bytes(stage.model.ends[case].received), stage.edited)
            expected = bytes(client.outgoing)
            if stage.edited:
                for line in lines:
                    expected = expected.replace(f"{line}\r\n".encode(), b"")
            assert got == expected
            stage.ledger.exchange(OTHER)


async def http2(places: Places, framings: Framings) -> None:
    """Row 28, as far as it goes: HTTP/2 is told by its preface and relayed unread, floods of frames included."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    floods = {
        "continuation": b"\x00\x00\x01\x09\x00\x00\x00\x00\x01\x00",
        "ping": b"\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678",
        "settings": b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        "rapid reset": b"\x00\x00\x01\x01\x05\x00\x00\x00\x01\x82\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08",
        "window": b"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x01",
    }

    async def echo(model: End) -> None:
        while data := await model.next():
            await model.send(data)

    async with staged(await places.shared()) as stage:
        stage.model.anonymous_part = Part(echo)
        for frames in floods.values():
            client = await stage.client(spoken="h2c")
            whole = preface + frames * 2000
            await client.send(whole)
            client.fin()
            assert await client.read_all() == whole
        await stage.alive()


# ---------------------------------------------------------------- names without end


async def cardinality(places: Places, framings: Framings) -> None:
    """Row 29: names, paths, methods, hosts and ids without end make a bounded number of series; the sum is exact."""
    place = await places.shared(*BOUNDED)
    async with staged(place) as stage:
        await together(*(_crowd(stage, lane) for lane in range(8)))
        lanes = 8
        stage.ledger.some_of("exchanges", lanes * NAMES + 3)
        stage.ledger.some_of("sized", lanes * NAMES + 3)
        stage.ledger.free("offered")
        stage.ledger.some_of("errors", lanes * (NAMES // 2))
        await stage.alive()
        text = await place.scrape()
    sets = re.findall(r"^model_request_duration_seconds_count\{.*", text, re.MULTILINE)
    assert len(sets) <= 512
    assert len(re.findall(r"^model_requests_in_flight\{", text, re.MULTILINE)) <= 512
    assert any('model_name="<other>"' in line for line in sets)


NAMES = times(120)


async def _crowd(stage: Stage, lane: int) -> None:
    """Half of the models exist."""

    async def script(model: End) -> None:
        for number in range(NAMES):
            await model.read_message()
            await model.send(answer(b"{}", "404 Not Found" if number % 2 else "200 OK"))

    case = stage.case(script)
    client = await stage.client()
    for number in range(NAMES):
        name = f"{lane}-{number}"
        target = f"/v2/models/m{name}/infer" if number % 3 else f"/v1/models/n{name}:predict"
        method = "POST" if number % 5 else f"X{name}"
        query = case if not number else stage.further(case, number)
        lines = [
            *(f"{method} {target}?case={query} HTTP/1.1", f"Host: h{name}", "Content-Length: 2"),
            f"traceparent: 00-{number + 1:032x}-{lane + 1:016x}-00",
        ]
        await client.send("\r\n".join(lines).encode() + b"\r\n\r\n{}")
        assert await client.read_message()
    client.close()
