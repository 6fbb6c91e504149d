"""One POST per event to sinks that take it, refuse it, stall, lie, or speak something else."""

import asyncio
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from exporter.publish.cloudevents import Event
from exporter.publish.delivery import MAX_RETRY_AFTER, Failed
from exporter.publish.http_sink import HttpSink
from tests.proxy.secure import file
from tests.receivers.cloudevents import CloudEventSink, RawSink, status

EVENT = Event({"specversion": "1.0", "id": "1", "source": "s", "type": "t"}, "application/json", b'{"a":1}')
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def post(sink: HttpSink, *events: Event) -> list[int]:
    """Deliver one after the other over the same connections, then close."""

    async def all_of_them() -> list[int]:
        try:
            return [await sink.deliver([event]) for event in events or (EVENT,)]
        finally:
            await sink.close()
            await sink.close()

    return asyncio.run(all_of_them())


def failure(sink: HttpSink) -> tuple[str, bool]:
    """Why an attempt fails and whether it is worth another."""
    with pytest.raises(Failed) as caught:
        post(sink)
    return caught.value.reason, caught.value.again


def test_an_event_arrives() -> None:
    """As a POST to the target's path, with nothing but the event's headers and our name."""
    with CloudEventSink() as sink:
        url = sink.url + "?tenant=1"
        assert post(HttpSink(url, 1, 5.0)) == [7]
        (received,) = sink.events
    assert (received.path, received.body, received.data) == ("/default?tenant=1", b'{"a":1}', {"a": 1})
    ours = {name.lower() for name in received.headers} - {"host", "user-agent", "accept", "content-length"}
    assert ours == {"ce-specversion", "ce-id", "ce-source", "ce-type", "content-type"}


@pytest.mark.parametrize("data", [b"", os.urandom(3 << 20)], ids=["empty", "3 MiB"])
def test_any_size_arrives(data: bytes) -> None:
    """No body, and one of megabytes; without a content type none is made up."""
    with CloudEventSink() as sink:
        post(HttpSink(sink.url, 1, 20.0), Event(EVENT.attributes, "", data))
        (received,) = sink.events
    assert received.body == data
    assert "content-type" not in received.headers


def test_connections_are_kept() -> None:
    """Ten events need one connection, also where the sink answers each with a body."""
    body = b"HTTP/1.1 202 Accepted\r\nContent-Length: 4\r\n\r\nfine"

    def talk(connection: socket.socket) -> None:
        while read_request(connection):
            connection.sendall(body)

    with RawSink(talk) as sink:
        post(HttpSink(sink.url, 1, 5.0), *[EVENT] * 10)
    assert sink.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        OK,
    ],
    ids=["close", "1.0", "no length", "kept and then closed"],
)
def test_a_connection_that_is_over_is_not_used_again(answer: bytes) -> None:
    """Neither one that the sink said it would close, nor one that it did close."""
    left = threading.Event()

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        left.set()
        connection.recv(1)

    async def twice() -> None:
        http = HttpSink(sink.url, 1, 5.0)
        await http.deliver([EVENT])
        assert await asyncio.to_thread(left.wait, 5)
        await asyncio.sleep(0)
        await http.deliver([EVENT])
        await http.close()

    with RawSink(talk) as sink:
        asyncio.run(twice())
    assert sink.connections == 2


def test_nothing_is_left_of_an_attempt_that_failed() -> None:
    """A sink that does not read would keep every connection that was closed to it: they are aborted, none stays."""

    async def many() -> int:
        http = HttpSink(sink.url, 1, 0.05)
        for _ in range(20):
            with pytest.raises(Failed, match="timeout"):
                await http.deliver([Event(EVENT.attributes, "", b"x" * (4 << 20))])
        await http.close()
        await asyncio.sleep(0)
        return sum(each.status == "ESTABLISHED" for each in psutil.Process().net_connections("tcp4")) - before

    with RawSink(unread) as sink:
        before = sum(each.status == "ESTABLISHED" for each in psutil.Process().net_connections("tcp4"))
        ours = asyncio.run(many())
    assert ours <= 4  # those ends that the sink itself still holds


def read_request(connection: socket.socket) -> bytes:
    """One whole request with EVENT's body; b"" at the end of the connection."""
    data = b""
    while not data.endswith(EVENT.data):
        piece = connection.recv(65536)
        if not piece:
            return b""
        data += piece
    return data


@pytest.mark.parametrize(
    ("code", "reason", "again"),
    [
        *((code, "status_4xx", False) for code in (400, 401, 403, 404, 413, 422, 431)),
        (408, "status_4xx", True),
        (429, "status_429", True),
        *((code, "status_5xx", True) for code in (500, 502, 503, 504, 599)),
        *((code, "redirect", False) for code in (301, 302, 307, 308)),
    ],
)
def test_what_the_status_means(code: int, reason: str, again: bool) -> None:
    """4xx is final but for 408 and 429; 5xx is worth another attempt; a redirect is never followed."""
    with CloudEventSink() as other, CloudEventSink() as sink:
        sink.manner = status(code, location=other.url)
        assert failure(HttpSink(sink.url, 1, 5.0)) == (reason, again)
        assert (len(sink.events), other.events) == (1, [])


@pytest.mark.parametrize(("code", "after"), [(429, 7.0), (503, 7.0), (500, 7.0), (404, 0.0)])
def test_retry_after(code: int, after: float) -> None:
    """What the sink asks for is passed on, within its bound."""
    for value, expected in (("7", after), ("1000000000", after and MAX_RETRY_AFTER), ("junk", 0.0)):
        with CloudEventSink() as sink:
            sink.manner = status(code, retry_after=value)
            with pytest.raises(Failed) as caught:
                post(HttpSink(sink.url, 1, 5.0))
        assert caught.value.after == expected


def test_a_sink_that_is_down() -> None:
    """Nobody listens, or the name is not known: an attempt that may be made again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert failure(HttpSink(f"http://127.0.0.1:{port}/", 1, 5.0)) == ("connect", True)
    assert failure(HttpSink("http://sink.invalid/", 1, 5.0)) == ("connect", True)


def silent(connection: socket.socket) -> None:
    """Reads, and says nothing."""
    while connection.recv(65536):
        pass


def dripping(connection: socket.socket) -> None:
    """Answers, one byte at a time, and never comes to an end."""
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
    while True:
        connection.sendall(b"a")
        time.sleep(0.02)


def unread(connection: socket.socket) -> None:
    """Takes a byte now and then."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    while connection.recv(1):
        time.sleep(0.02)


def resetting(connection: socket.socket) -> None:
    """A RST in the place of an answer."""
    read_request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def leaving(connection: socket.socket) -> None:
    """A FIN in the place of an answer."""
    read_request(connection)


def saying(answer: bytes) -> Callable[[socket.socket], None]:
    """Those bytes for an answer, and the end."""

    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)

    return talk


@pytest.mark.parametrize(
    ("talk", "reason"),
    [
        (silent, "timeout"),
        (dripping, "timeout"),
        (resetting, "reset"),
        (leaving, "reset"),
        (saying(b"\x00\xff garbage\r\n\r\n"), "protocol"),
        (saying(b"HTTP/1.1 200 OK\r\n" + b"x: " + b"a" * 100_000 + b"\r\n\r\n"), "protocol"),
        (saying(b"HTTP/1.1 200 OK\r\n" + b"x: a\r\n" * 100_000), "protocol"),
        (saying(b"SSH-2.0-OpenSSH_9.6\r\n"), "protocol"),
        (saying(b"HTTP/1.1 100 Continue\r\n\r\n" * 20), "protocol"),
    ],
    ids=["silent", "dripping", "reset", "fin", "garbage", "long field", "many fields", "ssh", "interim"],
)
def test_a_sink_that_misbehaves(talk: Callable[[socket.socket], None], reason: str) -> None:
    """Each way not to answer ends within the time of one attempt, is told apart, and may be tried again."""
    with RawSink(talk) as sink:
        assert failure(HttpSink(sink.url, 1, 0.5)) == (reason, True)


def test_a_sink_that_does_not_read() -> None:
    """A megabyte to somebody who takes a byte at a time is given up in time."""
    with RawSink(unread) as sink, pytest.raises(Failed, match="timeout"):
        post(HttpSink(sink.url, 1, 0.5), Event(EVENT.attributes, "", b"x" * (8 << 20)))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 1_000_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5\r\nxxxxx\r\n" * 100_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nContent-Encoding: gzip\r\n\r\nnot gzip at all",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.0 200\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    ],
    ids=["huge", "endless chunks", "not gzip", "bad chunk", "half", "1.0", "interim"],
)
def test_what_follows_a_success_does_not_matter(answer: bytes) -> None:
    """A 2xx is a success, however long, broken or false what comes behind it is; it is not read beyond a bound."""
    with RawSink(saying(answer)) as sink:
        assert post(HttpSink(sink.url, 1, 5.0)) == [7]


def secure(name: str = "server") -> ssl.SSLContext:
    """A sink's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file(f"{name}.pem"), file(f"{name}.key"))
    return context


def test_tls_with_a_token(tmp_path: Path) -> None:
    """The sink's certificate is checked against the given authority; the token is read again when its file changes."""
    token = tmp_path / "token"
    token.write_text("first\n")
    with CloudEventSink(secure()) as sink:

        async def twice() -> None:
            http = HttpSink(sink.url, 1, 5.0, file("ca.pem"), str(token))
            await http.deliver([EVENT])
            fresh = tmp_path / "fresh"
            fresh.write_text("second")
            fresh.rename(token)
            await http.deliver([EVENT])
            await http.close()

        asyncio.run(twice())
        assert [each.headers["authorization"] for each in sink.events] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize(
    ("ca", "certificate"),
    [
        ("", "server"),
        ("other-ca.pem", "server"),
        ("ca.pem", "stranger"),
        ("none.pem", "server"),
        ("server.key", "server"),
    ],
)
def test_a_certificate_that_is_not_trusted(ca: str, certificate: str) -> None:
    """Another authority, another name, no usable file of authorities: nothing is sent, and the reason is tls."""
    with CloudEventSink(secure(certificate)) as sink:
        assert failure(HttpSink(sink.url, 1, 5.0, file(ca) if ca else "")) == ("tls", True)
        assert sink.events == []


def test_tls_to_a_sink_that_has_none() -> None:
    """https to a plain server fails as tls or as an end of the connection; nothing is sent."""
    with CloudEventSink() as sink:
        reason, again = failure(HttpSink(sink.url.replace("http:", "https:"), 1, 5.0))
        assert (reason in ("tls", "reset", "connect"), again, sink.events) == (True, True, [])


@pytest.mark.parametrize("content", [None, b"", b"  \n", b"two words", b"\xff\xfe", b"line\nline"])
def test_without_its_token_nothing_is_sent(tmp_path: Path, content: bytes | None) -> None:
    """A token that is missing, empty or none is told; the event waits for it."""
    token = tmp_path / "token"
    if content is not None:
        token.write_bytes(content)
    with CloudEventSink() as sink:
        assert failure(HttpSink(sink.url, 1, 5.0, token=str(token))) == ("token", True)
        assert sink.events == []


def test_the_environment_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A proxy of the environment does not see payloads, and no netrc adds credentials."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with CloudEventSink() as proxy, CloudEventSink() as sink:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        post(HttpSink(sink.url, 1, 5.0))
        assert (len(sink.events), proxy.events) == (1, [])
        assert "authorization" not in sink.events[0].headers
