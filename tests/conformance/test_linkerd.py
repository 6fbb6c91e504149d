"""The acceptance list of linkerd's proxy (transparency, shutdown, telemetry), name by name, as far as it applies here.

`COVERED` says for each name where it is shown: by the scene of SCENES or the test of this module that has its name, by
another test, or why it has no meaning for a sidecar in front of one model.
"""

import gzip
import http.client
import re
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from exporter.wire.sniff import PREFACE
from tests.app.command import INFER, Metrics, Sidecar, exchange
from tests.app.upstream import SLOW, Upstream
from tests.conformance.scenes import SCENES
from tests.conformance.stage import Models, Stage, through
from tests.conformance.steps import CLIENT_FIN, CLIENT_RESET, MODEL_FIN, MODEL_RESET, client, model
from tests.e2e.processes import LOOPBACK, wait_until
from tests.proxy.clients import answer, get, request
from tests.proxy.lab import Lab
from tests.proxy.upstreams import ok, serving

ROOT = Path(__file__).parents[2]
TRANSPARENCY = """
    outbound_http1 inbound_http1 inbound_tcp inbound_tcp_server_first outbound_opaque_tcp_server_first
    tcp_connections_close_if_client_closes http1_removes_connection_headers http10_with_host http10_without_host
    http11_absolute_uri_differs_from_host http11_upgrades http11_upgrade_h2_stripped http11_connect
    http11_connect_headers_stripped http11_connect_bad_requests http1_request_with_body_content_length
    http1_request_with_body_chunked http1_requests_without_body_doesnt_add_transfer_encoding
    http1_content_length_zero_is_preserved http1_bodyless_responses http1_head_responses http1_response_end_of_file
    http1_inbound_timeout http1_one_connection_per_host http1_requests_without_host_have_unique_connections
    retry_reconnect_errors http2_request_without_authority http2_rst_stream_is_propagated
"""
SHUTDOWN = """
    h2_goaways_connections h2_exercise_goaways_connections http1_closes_idle_connections
    tcp_waits_for_proxies_to_close
"""
TELEMETRY = """
    admin_transport_metrics metrics_endpoint_inbound_request_count metrics_endpoint_inbound_response_count
    metrics_endpoint_outbound_request_count metrics_endpoint_outbound_response_count response_latency
    tcp_read_bytes_total tcp_write_bytes_total open_connections metrics_have_no_double_commas metrics_compression
"""
NAMES = f"{TRANSPARENCY} {SHUTDOWN} {TELEMETRY}".split()

HERE, SCENE = "here", "scene "
INBOUND_ONLY = "does not apply: the sidecar stands in front of its own model only; see the inbound name"
NO_STREAMS = (
    "does not apply: HTTP/2 is relayed unread, there is no stream of which an end could be told; see "
)
COVERED: dict[str, str] = {
    "outbound_http1": INBOUND_ONLY,
    "inbound_http1": SCENE + "keepalive: three requests without an id",
    "inbound_tcp": HERE,
    "inbound_tcp_server_first": SCENE + "tunnels: the server speaks first",
    "outbound_opaque_tcp_server_first": HERE,
    "tcp_connections_close_if_client_closes": HERE,
    # They stay: this is a tunnel to one server, not an intermediary that speaks for itself.
    "http1_removes_connection_headers": SCENE + "keepalive: connection fields stay",
    "http10_with_host": HERE,
    "http10_without_host": SCENE + "keepalive: http/1.0 ends with its answer",
    "http11_absolute_uri_differs_from_host": HERE,
    "http11_upgrades": SCENE + "tunnels: upgrade, the client ends first",
    "http11_upgrade_h2_stripped": SCENE + "tunnels: h2c is taken away and the body stays",
    "http11_connect": SCENE + "tunnels: connect, the client ends first",
    # They stay, as above.
    "http11_connect_headers_stripped": HERE,
    "http11_connect_bad_requests": SCENE + "tunnels: connect with a body",
    "http1_request_with_body_content_length": SCENE + "early: by length, both stay",
    "http1_request_with_body_chunked": SCENE + "bodies: trailers both ways",
    "http1_requests_without_body_doesnt_add_transfer_encoding": SCENE + "bodies: no body and no framing",
    "http1_content_length_zero_is_preserved": SCENE + "bodies: a length of zero",
    "http1_bodyless_responses": SCENE + "bodies: 304 with a length",
    "http1_head_responses": SCENE + "bodies: head with a length",
    "http1_response_end_of_file": SCENE + "bodies: until the connection ends",
    "http1_inbound_timeout": "tests/proxy/test_dial.py::test_black_hole_is_given_up",
    "http1_one_connection_per_host": HERE,
    "http1_requests_without_host_have_unique_connections": HERE,
    "retry_reconnect_errors": "tests/proxy/test_dial.py::test_refused_then_listening",
    "http2_request_without_authority": NO_STREAMS + "http2_rst_stream_is_propagated",
    "http2_rst_stream_is_propagated": SCENE + "tunnels: h2 with prior knowledge",
    "h2_goaways_connections": NO_STREAMS + "tcp_waits_for_proxies_to_close",
    "h2_exercise_goaways_connections": NO_STREAMS + "tcp_waits_for_proxies_to_close",
    "http1_closes_idle_connections": "tests/proxy/test_worker.py::test_drain_lets_what_is_under_way_end",
    "tcp_waits_for_proxies_to_close": HERE,
    "admin_transport_metrics": HERE,
    "metrics_endpoint_inbound_request_count": HERE,
    "metrics_endpoint_inbound_response_count": HERE,
    "metrics_endpoint_outbound_request_count": INBOUND_ONLY,
    "metrics_endpoint_outbound_response_count": INBOUND_ONLY,
    "response_latency": HERE,
    "tcp_read_bytes_total": HERE,
    "tcp_write_bytes_total": HERE,
    "open_connections": HERE,
    "metrics_have_no_double_commas": HERE,
    "metrics_compression": HERE,
}


def test_the_table_is_complete() -> None:
    """Every name of the list is in the table, and what the table names exists."""
    assert sorted(COVERED) == sorted(NAMES)
    for name, place in COVERED.items():
        if place == HERE:
            assert f"test_{name}" in globals(), name
        elif place.startswith(SCENE):
            assert place.removeprefix(SCENE) in SCENES, name
        elif "::" in place:
            file, test = place.split("::")
            assert f"def {test}(" in (ROOT / file).read_text(), name
        else:
            assert place.startswith("does not apply: "), name


@pytest.mark.parametrize("name", [name for name, place in COVERED.items() if place.startswith(SCENE)])
async def test_scene_of_that_name(lab: Lab, name: str) -> None:
    """With no setting at all the scene plays as without the sidecar."""
    scene = SCENES[COVERED[name].removeprefix(SCENE)]
    stage = await through(lab, "annotate")
    await stage.play(scene.steps)
    stage.client.close()
    await lab.idle()
    assert lab.outcomes() == scene.counts


# ---------------------------------------------------------------- transparency


async def opaque(lab: Lab) -> Models:
    """A listener that is told not to look."""
    models = Models()
    await lab.start(models.script, opaque=True)
    return models


async def meet(lab: Lab, models: Models) -> Stage:
    """A new connection, of which nothing is edited."""
    client = await lab.client()
    return Stage(client, await models.accepted.get(), "")


async def test_inbound_tcp(lab: Lab) -> None:
    """Bytes of any protocol pass both ways, HTTP among them; FIN is passed on by itself in either direction."""
    stage = await meet(lab, await opaque(lab))
    talk = (client(b"hello\0"), model(b"\xff\xfe"), client(get("/a")), model(answer()))
    await stage.play((*talk, CLIENT_FIN, model(b"the rest"), MODEL_FIN))
    stage.client.close()
    await lab.idle()
    assert lab.connections() == {"opaque": (1, stage.client.sent, len(stage.client.received))}
    assert (lab.rows(), lab.desyncs()) == ([], {})


async def test_outbound_opaque_tcp_server_first(lab: Lab) -> None:
    """A server that greets is heard before the client spoke, and nothing of that is loss of sync."""
    stage = await meet(lab, await opaque(lab))
    talk = (model(b"220 hello\r\n"), client(b"EHLO\r\n"), model(b"250\r\n"))
    await stage.play((*talk, MODEL_FIN, client(b"QUIT\r\n"), CLIENT_FIN))
    stage.client.close()
    await lab.idle()
    assert lab.desyncs() == {}


async def test_tcp_connections_close_if_client_closes(lab: Lab) -> None:
    """What one side does to its connection, close or reset, is done to the other's."""
    models = await opaque(lab)
    for ends in ((CLIENT_FIN, MODEL_FIN), (MODEL_FIN, CLIENT_FIN), (CLIENT_RESET,), (MODEL_RESET,)):
        stage = await meet(lab, models)
        await stage.play((client(b"hello"), model(b"hello"), *ends))
        stage.client.close()
        await lab.idle()


async def test_http10_with_host(lab: Lab) -> None:
    """A Host in HTTP/1.0 stays where it is."""
    stage = await through(lab, "annotate")
    await stage.play(
        (client(b"GET /a HTTP/1.0\r\nHost: other\r\n\r\n"), model(b"HTTP/1.0 200 OK\r\n\r\nx"), MODEL_FIN)
    )


async def test_http11_absolute_uri_differs_from_host(lab: Lab) -> None:
    """Neither of the two is changed to fit the other."""
    stage = await through(lab, "annotate")
    await stage.play((client(get("http://one.test:81/a?b", "X-Forwarded-Host: three")), model(answer())))


async def test_http11_connect_headers_stripped(lab: Lab) -> None:
    """Nothing is stripped: fields of the request and of the answer that opens the tunnel arrive as they were."""
    stage = await through(lab, "annotate")
    fields = ("Connection: close, x-mine", "Transfer-Encoding-Not: 1", "x-mine: 1", "x-request-id: 7")
    opened = b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nx-mine: 2\r\n\r\n"
    await stage.play(
        (client(request("a:1", b"", *fields, method="CONNECT")), model(opened), client(b"\0"), model(b"\0"))
    )
    stage.client.close()
    await lab.idle()
    assert list(lab.connections()) == ["upgraded"]


async def test_http1_one_connection_per_host(lab: Lab) -> None:
    """One connection to the model per connection of a client, whatever hosts it names."""
    await lab.start(serving(ok))
    clients = [await lab.client() for _ in range(3)]
    for host in (b"one", b"two", b"three"):
        for peer in clients:
            await peer.send(get("/a").replace(b"model", host))
            assert (await peer.read_message()).status == 200
    assert len(lab.model.peers) == 3
    assert all(bytes(peer.received).count(b"Host: ") == 3 for peer in lab.model.peers)


async def test_http1_requests_without_host_have_unique_connections(lab: Lab) -> None:
    """No two clients ever share a connection to the model, at once or one after the other."""
    await lab.start(serving(ok))
    for number in range(4):
        assert (await lab.ask(b"GET /%d HTTP/1.1\r\n\r\n" % number)).status == 200
    assert [bytes(peer.received).split(b" ", 2)[1] for peer in lab.model.peers] == [
        b"/0",
        b"/1",
        b"/2",
        b"/3",
    ]


# ---------------------------------------------------------------- shutdown


@pytest.mark.parametrize("first", [PREFACE, b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03", b""])
async def test_tcp_waits_for_proxies_to_close(lab: Lab, first: bytes) -> None:
    """A drain waits for relays that nobody follows: HTTP/2, TLS, and what an opaque listener carries."""
    stage = await through(lab, "annotate") if first else await meet(lab, await opaque(lab))
    await stage.take(client(first or b"hello"))
    assert lab.worker is not None
    drain = lab.loop.create_task(lab.worker.drain())
    for _ in range(3):
        await stage.take(client(b"more"))
        await stage.take(model(b"to say"))
    assert not drain.done()
    for step in (CLIENT_FIN, model(b"the last word"), MODEL_FIN):
        await stage.take(step)
    await drain


# ---------------------------------------------------------------- telemetry


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """A model server."""
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory, upstream: Upstream) -> Iterator[Sidecar]:
    """The command as it is started by a user; a new series is shown at once."""
    sidecar = Sidecar(tmp_path_factory.mktemp("sidecar"), upstream.port, ("--series-hold", "0"))
    try:
        sidecar.started()
        # Its analysis yields to everything else on the machine, above all while it starts.
        wait_until(lambda: scraped(sidecar), "the first scrape", 100, sidecar)
        yield sidecar
    finally:
        sidecar.stop()


def scraped(sidecar: Sidecar) -> bool:
    """Whether a scrape was answered."""
    with suppress(OSError, http.client.HTTPException):
        return bool(sidecar.metrics().text)
    return False


COUNT = "model_request_duration_seconds_count"
IO = "model_connection_io_bytes_total"
SUM = "model_request_duration_seconds_sum"


def grown(before: Metrics, after: Metrics, name: str, **labels: str) -> float:
    """By how much these series grew together."""
    return after.total(name, **labels) - before.total(name, **labels)


def settled(sidecar: Sidecar) -> Metrics:
    """A scrape without a client."""
    return wait_until(
        lambda: (scrape := sidecar.metrics()).total("model_connections_open") == 0 and scrape,
        "no connection is open", 20, sidecar,
    )  # fmt: skip


def raw(sidecar: Sidecar, data: bytes) -> bytes:
    """All that comes of these bytes and a FIN."""
    with socket.create_connection((LOOPBACK, sidecar.listen), 30) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def test_metrics_endpoint_inbound_request_count(sidecar: Sidecar) -> None:
    """Each request is counted once, under what it asked for."""
    before = settled(sidecar)
    for _ in range(3):
        assert sidecar.post()[0] == 200
    assert exchange(sidecar.listen, "GET", "/v2/health/live")[0] == 200
    after = settled(sidecar)
    assert grown(before, after, COUNT) == 4
    assert grown(before, after, COUNT, operation="predict") == 3
    assert grown(before, after, COUNT, operation="health") == 1


def test_metrics_endpoint_inbound_response_count(sidecar: Sidecar) -> None:
    """Each answer is counted once, under its code, and what is answered with 200 is no error."""
    before = settled(sidecar)
    sidecar.post()
    raw(sidecar, request("/v2/models/echo/infer", b"", "Content-Length: 10"))
    after = settled(sidecar)
    assert grown(before, after, COUNT, code="200") == grown(before, after, COUNT) == 2
    assert grown(before, after, "model_request_errors_total") == 0


def test_response_latency(sidecar: Sidecar, upstream: Upstream) -> None:
    """What a histogram says of an exchange lies within what its client saw; its buckets end at its count."""
    before = settled(sidecar)
    began = time.monotonic()
    with closing(http.client.HTTPConnection(LOOPBACK, sidecar.listen, timeout=30)) as connection:
        connection.request("POST", SLOW, b"{}")
        assert upstream.begun.wait(30)
        upstream.release.set()
        assert connection.getresponse().read()
    whole = time.monotonic() - began
    after = settled(sidecar)
    assert 0 < grown(before, after, SUM) <= whole
    assert grown(before, after, "model_request_duration_seconds_bucket", le="+Inf") == 1
    first = "model_request_time_to_first_byte_seconds_sum"
    assert 0 < grown(before, after, first) <= grown(before, after, SUM)


def test_tcp_read_bytes_total(sidecar: Sidecar) -> None:
    """Every byte of clients is counted when their connections end, under what they spoke."""
    before = settled(sidecar)
    hello = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03" * 50
    raw(sidecar, hello)
    raw(sidecar, get("/v2/health/live", "Connection: close"))
    after = settled(sidecar)
    read = {"direction": "receive"}
    assert grown(before, after, IO, protocol="tls", **read) == len(hello)
    assert grown(before, after, IO, protocol="http1", **read) == len(
        get("/v2/health/live", "Connection: close")
    )
    assert grown(before, after, "model_connections_total", protocol="tls") == 1


def test_tcp_write_bytes_total(sidecar: Sidecar) -> None:
    """Every byte to clients is counted."""
    before = settled(sidecar)
    got = raw(sidecar, request(INFER, b"{}") * 3)
    assert grown(before, settled(sidecar), IO, direction="transmit") == len(got) > 300


def test_open_connections(sidecar: Sidecar) -> None:
    """A gauge of those that are open now."""
    settled(sidecar)
    clients = [socket.create_connection((LOOPBACK, sidecar.listen), 30) for _ in range(5)]
    for open_now in range(5, 0, -1):
        wait_until(
            lambda expected=open_now: sidecar.metrics().total("model_connections_open") == expected,
            "the connections are seen", 20, sidecar,
        )  # fmt: skip
        clients.pop().close()
    settled(sidecar)


def test_admin_transport_metrics(sidecar: Sidecar) -> None:
    """Scrapes are no traffic: nothing that tells of the model's moves by them."""
    before = settled(sidecar)
    for _ in range(5):
        after = sidecar.metrics()
    for name in (COUNT, "model_connections_total", IO, "model_connection_duration_seconds_count"):
        assert grown(before, after, name) == 0


def test_metrics_have_no_double_commas(sidecar: Sidecar) -> None:
    """Labels are separated by one comma, and there is none at either end."""
    sidecar.post()
    samples = [line for line in settled(sidecar).text.splitlines() if not line.startswith("#")]
    assert len(samples) > 100
    assert [line for line in samples if ",," in line or "{," in line or ",}" in line] == []


def test_metrics_compression(sidecar: Sidecar) -> None:
    """A scraper that takes gzip gets it, and the same families as one that does not."""
    with closing(http.client.HTTPConnection(LOOPBACK, sidecar.admin, timeout=30)) as connection:
        connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
        packed = connection.getresponse()
        assert packed.getheader("Content-Encoding") == "gzip"
        text = gzip.decompress(packed.read()).decode()
    families = re.compile(r"(?m)^# TYPE .*$")
    assert families.findall(text) == families.findall(sidecar.metrics().text)
