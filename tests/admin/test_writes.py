"""writes.py: POST /v1/observations over a real socket: bounds, turns, answers."""

import asyncio
import io
import json
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from exporter.admin import server as admin
from exporter.admin import writes
from exporter.admin.door import Door
from exporter.admin.writes import MAX_BODY, MAX_TOLD, MAX_WAITING, OUTCOMES, Take, Writes
from exporter.decode import feedback
from exporter.records.observation import Undecodable

JSON = {"Content-Type": "application/json"}
EXPECTED = {"rows_differ": "rows alike", "not_json": "JSON"}


class Place:
    """The admin side on a socket of its own."""

    def __init__(self, made: Writes, session: aiohttp.ClientSession, port: int) -> None:
        self.made = made
        self.session = session
        self.port = port
        self.url = f"http://127.0.0.1:{port}{writes.PATH}"

    async def post(
        self, body: object = b"{}", **headers: str
    ) -> tuple[int, dict[str, object], "aiohttp.typedefs.LooseHeaders"]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = io.BytesIO(body) if isinstance(body, bytes) else body
        async with self.session.post(self.url, data=data, headers=JSON | named) as response:
            return response.status, json.loads(await response.read()), response.headers

    def counts(self) -> dict[str, float]:
        """Those that are not 0."""
        return {one.labels[1]: one.value for one in self.made.samples() if one.value}


Body = Callable[[Place], Awaitable[None]]


async def nothing(body: bytes, form: str) -> Sequence[int | str]:
    return [1]


def serve(body: Body, take: Take = nothing, token_file: str = "", cores: float = 4.0) -> None:
    """Run `body` against a side that hands what it takes to `take`."""

    async def render(accept: str, names: frozenset[str]) -> tuple[bytes, str]:
        return b"", "text/plain"

    async def main() -> None:
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        port = sock.getsockname()[1]
        made = Writes(Door(token_file), cores, writes.observations(take, EXPECTED))
        runner = await admin.serve(sock, admin.Pages(render, routes=made.routes()))
        try:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
                await body(Place(made, session, port))
        finally:
            await runner.cleanup()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("reason", "status"), [("not_json", 400), ("decoder_failed", 500), ("switched_off", 503)]
)
def test_a_whole_body_that_is_refused(reason: str, status: int) -> None:
    """The status says whose fault it is, and whether to come again."""

    async def take(body: bytes, lines: bool) -> Sequence[int | str]:
        raise Undecodable(reason)

    async def body(place: Place) -> None:
        code, told, _ = await place.post()
        assert (code, told["records"]) == (status, 0)
        assert told["refused"] == [{"reason": reason, "expected": EXPECTED.get(reason, "")}]
        assert place.counts() == {"refused": 1}

    serve(body, take)


def test_answers_tell_what_was_taken() -> None:
    """All, a part with reasons by place, or nothing: counts and words, never anything of the payload."""
    rows: list[int | str] = []

    async def take(body: bytes, form: str) -> Sequence[int | str]:
        assert (body, form) == (b'{"a": "hush"}', "json")
        return rows

    async def body(place: Place) -> None:
        rows[:] = [3, 4]
        status, said, _ = await place.post(b'{"a": "hush"}')
        assert (status, said) == (200, {"records": 2, "accepted": 2, "rows": 7, "refused": []})
        rows[:] = [3, "rows_differ"]
        status, said, _ = await place.post(b'{"a": "hush"}')
        told = [{"record": 1, "reason": "rows_differ", "expected": "rows alike"}]
        assert (status, said) == (200, {"records": 2, "accepted": 1, "rows": 3, "refused": told})
        rows[:] = ["rows_differ"] * (MAX_TOLD + 1)
        status, said, _ = await place.post(b'{"a": "hush"}')
        assert (status, said["records"], len(said["refused"])) == (400, MAX_TOLD + 1, MAX_TOLD)  # type: ignore[arg-type]
        assert place.counts() == {"accepted": 1, "partial": 1, "refused": 1}

    serve(body, take)


def test_a_body_that_holds_no_records() -> None:
    """The reason of the whole body."""

    async def take(body: bytes, form: str) -> Sequence[int | str]:
        raise Undecodable("not_json")

    async def body(place: Place) -> None:
        status, said, _ = await place.post(b"x")
        assert (status, said["refused"]) == (400, [{"reason": "not_json", "expected": "JSON"}])
        assert place.counts() == {"refused": 1}

    serve(body, take)


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("application/json", "json"),
        ("application/json; charset=utf-8", "json"),
        *((kind, "lines") for kind in ("application/x-ndjson", "application/jsonl", "application/jsonlines")),
        *(
            (kind, None)
            for kind in ("text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data")
        ),
    ],
)
def test_content_types(kind: str, form: str | None) -> None:
    """JSON and JSON lines; a type that a page may send unasked is refused."""
    seen = []

    async def take(body: bytes, given: str) -> Sequence[int | str]:
        seen.append(given)
        return [1]

    async def body(place: Place) -> None:
        status, _, _ = await place.post(Content_Type=kind)
        assert (status, seen) == ((415, []) if form is None else (200, [form]))

    serve(body, take)


def test_nothing_is_inflated() -> None:
    """A body with a content coding is refused before it could become many."""

    async def body(place: Place) -> None:
        status, said, _ = await place.post(b"\x1f\x8b" + b"x" * 100, Content_Encoding="gzip")
        assert (status, said["reason"]) == (415, "content_type")

    serve(body)


def test_other_methods() -> None:
    """Only POST; and no word of CORS for whoever asks."""

    async def body(place: Place) -> None:
        async with place.session.get(place.url) as response:
            assert response.status == 405
        asks = {"Origin": "http://a", "Access-Control-Request-Method": "POST"}
        async with place.session.options(place.url, headers=asks) as response:
            assert response.status == 405
            assert not [name for name in response.headers if name.lower().startswith("access-control")]

    serve(body)


def test_the_door_is_asked_first(tmp_path: Path) -> None:
    """A page, a rebound name, a proxied request, and a wrong token: refused before a byte of the body is read."""

    async def body(place: Place) -> None:
        for fields in ({"Origin": "http://a"}, {"Host": "evil.example"}, {"X_Forwarded_For": "127.0.0.1"}):
            status, said, _ = await place.post(b"x" * (MAX_BODY + 1), **fields)
            assert (status, said["reason"]) == (403, "forbidden")
        assert place.counts() == {"forbidden": 3}

    serve(body)
    token = tmp_path / "token"
    token.write_text("abc")

    async def guarded(place: Place) -> None:
        status, _, headers = await place.post()
        assert (status, dict(headers).get("WWW-Authenticate")) == (401, "Bearer")  # type: ignore[arg-type]
        assert (await place.post(Authorization="Bearer abc", X_Forwarded_For="10.0.0.1"))[0] == 200
        token.unlink()
        assert (await place.post(Authorization="Bearer abc"))[0] == 503
        assert place.counts() == {"unauthorized": 1, "accepted": 1, "closed": 1}

    serve(guarded, token_file=str(token))


def test_bodies_are_bounded() -> None:
    """By the length that is told, or by what comes where none is."""

    async def parts(count: int) -> object:
        for _ in range(count):
            yield b"x" * (MAX_BODY // 8)

    async def body(place: Place) -> None:
        assert (await place.post(b"x" * MAX_BODY))[0] == 200
        assert (await place.post(b"x" * (MAX_BODY + 1)))[0] == 413
        assert (await place.post(parts(8)))[0] == 200
        assert (await place.post(parts(9)))[0] == 413
        assert place.counts() == {"accepted": 2, "too_large": 2}

    serve(body)


def test_what_is_over_is_told_to_come_again() -> None:
    """One at a time; so many wait, the others get 429 with Retry-After; afterwards there is room again."""
    gate, running, most = asyncio.Event(), 0, 0

    async def take(body: bytes, form: str) -> Sequence[int | str]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        return [1]

    async def body(place: Place) -> None:
        async def one() -> tuple[int, str]:
            status, _, headers = await place.post()
            if status == 429:
                gate.set()
            return status, dict(headers).get("Retry-After", "")  # type: ignore[arg-type]

        answers = await asyncio.gather(*(one() for _ in range(MAX_WAITING + 9)))
        assert set(answers) == {(200, ""), (429, "1")}
        assert sum(status == 200 for status, _ in answers) >= MAX_WAITING
        assert (await one())[0] == 200
        assert most == 1
        assert place.counts()["busy"] == sum(status == 429 for status, _ in answers)

    serve(body, take)


def test_a_body_that_drips_or_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives its place back after its time, and with its connection."""
    monkeypatch.setattr(writes, "READ_SECONDS", 0.2)

    async def body(place: Place) -> None:
        for ended, outcome in ((False, "timeout"), (True, "aborted")):
            reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
            head = f"POST {writes.PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            writer.write(head.encode() + b"Content-Length: 100\r\n\r\n{")
            await writer.drain()
            if ended:
                writer.close()
            else:
                assert b" 408 " in await reader.readline()
                writer.close()
            async with asyncio.timeout(30):
                while outcome not in place.counts():
                    await asyncio.sleep(0.01)
        assert place.made._waiting == 0

    serve(body)


def test_who_left_is_not_counted() -> None:
    """A client that hung up while it waited will send again: its body is let go."""
    gate, taken = asyncio.Event(), []

    async def take(body: bytes, form: str) -> Sequence[int | str]:
        taken.append(body)
        await gate.wait()
        return [1]

    async def body(place: Place) -> None:
        async with asyncio.TaskGroup() as group:
            first = group.create_task(place.post(b"1"))
            while not taken:
                await asyncio.sleep(0.01)
            second = asyncio.ensure_future(place.post(b"2"))
            while place.made._waiting < 2:
                await asyncio.sleep(0.01)
            second.cancel()
            await asyncio.gather(second, return_exceptions=True)
            await asyncio.sleep(0.05)
            gate.set()
            assert (await first)[0] == 200
        async with asyncio.timeout(30):
            while "aborted" not in place.counts():
                await asyncio.sleep(0.01)
        assert taken == [b"1"]

    serve(body, take)


def test_work_is_followed_by_rest() -> None:
    """What was pushed takes a share of the CPU budget: the next body waits as long as the last one's work demands."""

    async def take(body: bytes, form: str) -> Sequence[int | str]:
        sum(range(200_000))
        return [1]

    async def body(place: Place) -> None:
        loop = asyncio.get_running_loop()
        await place.post()
        due = place.made._not_before
        assert due > loop.time()
        await place.post()
        assert loop.time() >= due

    serve(body, take, cores=0.02)


def test_all_outcomes_exist_from_the_start() -> None:
    """At 0, before anybody wrote."""

    async def body(place: Place) -> None:
        found = {one.labels: one.value for one in place.made.samples()}
        assert found == {("observations", outcome): 0 for outcome in OUTCOMES}

    serve(body)


def test_feedback_is_a_resource_of_its_own() -> None:
    """CSV and CloudEvents too; one outcome for each item, reasons beside; counted apart."""
    found: list[object] = [("joined",), ("joined", "parked"), "bad_id"]
    seen = []

    async def take(body: bytes, form: str) -> Sequence[object]:
        seen.append(form)
        return found

    async def main() -> None:
        made = Writes(
            Door(), 4.0, writes.observations(nothing, {}), writes.feedback(take, {"bad_id": "an id"})
        )
        app = web.Application()
        app.add_routes(made.routes())
        async with TestClient(TestServer(app)) as client:
            for kind in ("text/csv", "application/cloudevents+json", "application/x-ndjson"):
                answer = await client.post(writes.FEEDBACK_PATH, data=b"x", headers={"Content-Type": kind})
                assert answer.status == 200
            assert await answer.json() == {
                "items": 3,
                "counts": {"joined": 2, "parked": 1, "invalid": 1},
                "outcomes": ["joined", ["joined", "parked"], "invalid"],
                "refused": [{"item": 2, "reason": "bad_id", "expected": "an id"}],
            }
            found[:] = ["bad_id"]
            assert (await client.post(writes.FEEDBACK_PATH, json={})).status == 400
            answer = await client.post(writes.PATH, data=b"x", headers={"Content-Type": "text/csv"})
            assert answer.status == 415
            assert (await answer.json())["expected"].startswith(
                "expected application/json or application/x-ndjson,"
            )
        assert seen == ["csv", "json", "lines", "json"]
        counts = {one.labels: one.value for one in made.samples() if one.value}
        assert counts == {
            ("feedback", "partial"): 3,
            ("feedback", "refused"): 1,
            ("observations", "content_type"): 1,
        }

    asyncio.run(main())


def test_cloudevents_of_binary_mode() -> None:
    """Attributes in fields of the head, data in the body: read as of structured mode, but for what is no JSON."""
    seen: list[bytes] = []

    async def take(body: bytes, form: str) -> list[tuple[str, ...]]:
        seen.append(body)
        return [("joined",)]

    async def body() -> None:
        made = writes.Writes(Door(), 1.0, writes.feedback(take, {}))
        app = web.Application()
        app.add_routes(made.routes())
        fields = {
            "Content-Type": "application/json",
            "ce-specversion": "1.0",
            "ce-id": "1",
            "ce-type": "label",
        }
        async with TestClient(TestServer(app)) as client:
            for more, data in (
                ({"ce-time": "2026-01-02T03:04:05Z"}, b'{"id": "a", "label": 1}'),
                ({}, b'[{"id": "a", "label": 1}]'),
                ({}, b"{"),
            ):
                await client.post(writes.FEEDBACK_PATH, data=data, headers=fields | more)
        first, second, third = seen
        (label,) = feedback.decode(first, "json", 2e9)
        assert not isinstance(label, str)
        assert label[0].time == 1767323045.0
        (label,) = feedback.decode(second, "json", 2e9)
        assert not isinstance(label, str)
        assert label[0].time == 2e9
        assert third == b"{"

    asyncio.run(body())
