"""TLS on the listener and towards the model, with real certificates: who is let in, what is lost, files that change."""

import asyncio
import logging
import os
import shutil
import ssl
from pathlib import Path
from typing import Any

import pytest

from exporter.proxy import tls
from exporter.proxy.settings import Settings, Tls, Upstream
from exporter.proxy.tls import Contexts, TlsError
from tests.proxy import upstreams
from tests.proxy.clients import Peer, answer, get, request
from tests.proxy.lab import Lab
from tests.proxy.secure import SERVING, SecurePeer, file, presenting, secured, trusting
from tests.proxy.upstreams import Script, ok, saying, serving

ID = "x-request-id: 7"


async def secure(lab: Lab, context: ssl.SSLContext | None = None, name: str = "model") -> SecurePeer:
    """A client that has connected, its handshake done."""
    peer = await lab.client()
    made = SecurePeer(peer.sock, context or trusting(), name)
    await made.handshake()
    return made


async def served(lab: Lab, context: ssl.SSLContext | None = None) -> bool:
    """Whether one request by TLS, on a connection of its own, got 200; if not, the handshake failed."""
    client = None
    try:
        client = await secure(lab, context)
        await client.send(get("/a", ID))
        # In TLS 1.3 a client is through before the server has looked at its certificate.
        message = await client.read_message()
    except (ssl.SSLError, ConnectionError):
        return False
    finally:
        if client is not None:
            client.close()
    assert message.head == b"" or message.status == 200
    return message.head != b""


# ---------------------------------------------------------------- clients


async def test_listener(lab: Lab) -> None:
    """HTTP as ever behind TLS 1.2 or newer; http/1.1 is agreed on, and what is counted is the plain bytes."""
    await lab.start(serving(ok), tls=SERVING)
    client = await secure(lab)
    assert client.tls.selected_alpn_protocol() == "http/1.1"
    for body in (b"{}", b"x" * 300_000):
        await client.send(request("/a", body, ID))
        assert (await client.read_message()).body == body
    sent = client.sent
    client.close()
    await lab.idle()
    assert lab.outcomes() == {("200", ""): 2}
    assert lab.connections()["http1"][:2] == (1, sent)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_old_versions_are_refused(lab: Lab) -> None:
    """TLS 1.2 is served, 1.1 is not."""
    await lab.start(serving(ok), tls=SERVING)
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert await served(lab, context)
    context = trusting()
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await secure(lab, context)
    await lab.finished(1)
    assert lab.outcomes() == {("200", ""): 1}
    assert lab.reasons("tls_listener") == {"protocol": 1}


@pytest.mark.parametrize(
    ("auth", "cert", "let_in"),
    [
        ("required", "client", True),
        ("required", "", False),
        ("required", "other-client", False),
        ("optional", "client", True),
        ("optional", "", True),
        ("optional", "other-client", False),
        ("none", "other-client", True),
    ],
)
async def test_certificates_of_clients(lab: Lab, auth: str, cert: str, let_in: bool) -> None:
    """Required: only with one of the authority's. Optional: none will do, a wrong one will not."""
    settings = Tls(cert=SERVING.cert, key=SERVING.key, client_ca=file("ca.pem"), client_auth=auth)
    await lab.start(serving(ok), tls=settings)
    assert await served(lab, trusting(cert=cert)) is let_in
    await lab.idle()
    assert lab.outcomes() == ({("200", ""): 1} if let_in else {})
    assert lab.model.peers == [] or let_in
    assert lab.reasons("tls_listener") == ({} if let_in else {"certificate": 1})


async def test_a_client_that_refuses_our_certificate(lab: Lab) -> None:
    """Its alert is counted as what it is about."""
    await lab.start(serving(ok), tls=SERVING)
    with pytest.raises(ssl.SSLCertVerificationError):
        await secure(lab, name="somebody-else")
    await lab.until(lambda: lab.reasons("tls_listener") == {"certificate": 1})


async def test_plain_bytes_at_a_tls_port(lab: Lab) -> None:
    """The connection ends; no exchange and no connection is counted, and the model is not dialled."""
    await lab.start(serving(ok), tls=SERVING)
    client = await lab.client()
    await client.send(get("/a", ID))
    await client.read_all()
    assert await served(lab)
    await lab.idle()
    assert lab.outcomes() == {("200", ""): 1}
    assert lab.connections().keys() == {"http1"}
    assert len(lab.model.peers) == 1
    assert lab.reasons("tls_listener") == {"protocol": 1}


async def test_handshake_that_never_ends(lab: Lab) -> None:
    """It has the time of a head; then the connection is closed."""
    await lab.start(serving(ok), tls=SERVING, header_timeout=0.1)
    silent, dripping = await lab.client(), await lab.client()
    await dripping.send(b"\x16\x03\x01")
    for client in (silent, dripping):
        await client.read_all()
        assert client.over
    assert lab.model.peers == []
    await lab.until(lambda: lab.reasons("tls_listener") == {"timeout": 2})


async def test_handshake_that_is_given_up(lab: Lab) -> None:
    """A client that resets or leaves half way is nobody."""
    await lab.start(serving(ok), tls=SERVING)
    for ending in (Peer.reset, Peer.fin):
        client = await lab.client()
        await client.send(b"\x16\x03\x01")
        ending(client)
    assert await served(lab)
    await lab.until(lambda: lab.reasons("tls_listener") == {"eof": 2})


# ---------------------------------------------------------------- endings


async def test_model_that_closes(lab: Lab) -> None:
    """An answer that ends with its connection arrives whole, and close_notify says that it is."""
    head = b"HTTP/1.0 200 OK\r\n\r\n"
    await lab.start(saying(head, b"x" * 300_000, then="fin"), tls=SERVING)
    client = await secure(lab)
    await client.send(get("/a", ID))
    assert await client.read_all() == head + b"x" * 300_000
    assert client.over == "fin"
    client.close()
    await lab.finished(1)
    assert lab.outcomes() == {("200", ""): 1}


async def test_model_that_resets(lab: Lab) -> None:
    """An answer that was cut does not look whole."""
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    await lab.start(saying(head, b"x" * 1000, then="reset"), tls=SERVING)
    client = await secure(lab)
    await client.send(get("/a", ID))
    await client.read_all()
    assert client.over in ("reset", "cut")
    client.close()
    await lab.finished(1)
    assert lab.outcomes() == {("200", "incomplete"): 1}


async def test_client_that_half_closes_by_tls(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    """close_notify ends both directions, as with any server on this loop: the connection ends, without a word."""
    await lab.start(upstreams.silent, tls=SERVING)
    client = await secure(lab)
    await client.send(get("/a", ID))
    await lab.until(lambda: lab.in_flight() == 1)
    await client.end_writing()
    await client.read_all()
    assert client.over == "fin"
    client.close()
    await lab.idle()
    assert lab.outcomes() == {("none", "abort"): 1}
    assert caplog.records == []


async def test_live_connection_is_closed_by_a_drain(lab: Lab) -> None:
    """An idle client that reads nothing does not hold it."""
    await lab.start(serving(ok), tls=SERVING, grace=20.0)
    client = await secure(lab)
    await client.send(get("/a", ID))
    assert (await client.read_message()).status == 200
    assert lab.worker is not None
    async with asyncio.timeout(30):
        await lab.worker.drain()
    assert await client.read_all() == b""
    assert client.over == "fin"
    client.close()


# ---------------------------------------------------------------- the model


async def behind(lab: Lab, script: Script, settings: Tls, host: str = "localhost", **changes: Any) -> None:
    """A worker in front of a model that speaks TLS."""
    sock = upstreams.listener()
    upstream = Upstream(host=host, port=sock.getsockname()[1], tls=True)
    await lab.start(None, upstreams=(upstream,), tls=settings, **{"connect_timeout": 5.0, **changes})
    lab.upstream = upstreams.Upstream(script, sock)
    lab.upstream.start()


@pytest.mark.parametrize(
    ("cert", "settings", "host"),
    [
        ("server", Tls(upstream_ca=file("ca.pem")), "localhost"),
        ("server", Tls(upstream_ca=file("ca.pem")), "127.0.0.1"),
        ("stranger", Tls(upstream_ca=file("ca.pem"), upstream_name="stranger"), "localhost"),
        ("self-signed", Tls(upstream_ca=file("self-signed.pem")), "localhost"),
        ("self-signed", Tls(upstream_verify=False), "localhost"),
    ],
)
async def test_upstream_verified(lab: Lab, cert: str, settings: Tls, host: str) -> None:
    """By name or address, by the name that is expected, by a certificate that is its own authority, or not at all."""
    names: list[str | None] = []
    context = presenting(cert)
    context.sni_callback = lambda _tls, name, _context: names.append(name)
    await behind(lab, secured(serving(ok), context), settings, host)
    assert (await lab.ask(request("/a", b"{}", ID))).status == 200
    assert names == [None if host == "127.0.0.1" else settings.upstream_name or "localhost"]
    assert lab.outcomes() == {("200", ""): 1}


@pytest.mark.parametrize(
    ("cert", "settings", "reason"),
    [
        ("server", Tls(upstream_ca=file("other-ca.pem")), "unable to get local issuer certificate"),
        ("server", Tls(), "unable to get local issuer certificate"),
        ("self-signed", Tls(upstream_ca=file("ca.pem")), "self-signed certificate"),
        ("expired", Tls(upstream_ca=file("expired.pem")), "certificate has expired"),
        ("stranger", Tls(upstream_ca=file("ca.pem")), "Hostname mismatch"),
        ("server", Tls(upstream_ca=file("ca.pem"), upstream_name="other"), "Hostname mismatch"),
    ],
)
async def test_upstream_refused(
    lab: Lab, caplog: pytest.LogCaptureFixture, cert: str, settings: Tls, reason: str
) -> None:
    """A model that cannot prove who it is gets no byte: 503 without another attempt, and the log says why, once."""
    heard: list[bytes] = []

    async def model(peer: Peer) -> None:
        heard.append(await peer.read_all())

    await behind(lab, secured(model, presenting(cert)), settings)
    assert [(await lab.ask(get("/a", ID))).status for _ in range(2)] == [503, 503]
    assert heard == []
    assert len(lab.model.peers) == 2
    assert len(caplog.records) == 1
    assert reason in caplog.text
    assert f"TLS to the upstream localhost:{lab.model.address[1]}" in caplog.text
    assert lab.outcomes() == {("503", "refused"): 2}
    assert lab.reasons("tls_upstream") == {"certificate": 2}


async def test_upstream_that_wants_a_certificate(lab: Lab) -> None:
    """The sidecar shows its own."""
    settings = Tls(
        upstream_ca=file("ca.pem"), upstream_cert=file("client.pem"), upstream_key=file("client.key")
    )
    await behind(lab, secured(serving(ok), presenting(ca="ca.pem")), settings)
    assert (await lab.ask(get("/a", ID))).status == 200


async def test_upstream_that_wants_a_certificate_in_vain(lab: Lab) -> None:
    """In TLS 1.3 its refusal comes after our side of the handshake: as a reset, to the client too."""
    await behind(lab, secured(serving(ok), presenting(ca="ca.pem")), Tls(upstream_ca=file("ca.pem")))
    client = await lab.client()
    await client.send(get("/a", ID))
    assert await client.read_all() == b""
    assert client.over == "reset"
    assert lab.outcomes() == {("none", "reset"): 1}


async def test_upstream_that_speaks_no_tls(lab: Lab) -> None:
    """503, not a hang."""
    await behind(lab, saying(answer(), then="stay"), Tls(upstream_ca=file("ca.pem")), connect_timeout=0.1)
    lab.model.script = _greeting
    assert (await lab.ask(get("/a", ID))).status == 503
    assert lab.reasons("tls_upstream") == {"protocol": 1}


async def _greeting(peer: Peer) -> None:
    await peer.send(b"220 ready\r\n")
    await peer.read_all()


async def test_upstream_that_resets_handshakes(lab: Lab) -> None:
    """It is dialled again within the connect timeout, as if it had refused."""
    count = 0

    async def model(peer: Peer) -> None:
        nonlocal count
        count += 1
        if count < 3:
            peer.reset()
        else:
            await secured(serving(ok), presenting())(peer)

    await behind(lab, model, Tls(upstream_ca=file("ca.pem")))
    assert (await lab.ask(get("/a", ID))).status == 200
    assert count == 3
    assert lab.reasons("tls_upstream") == {"eof": 2}


async def test_client_leaves_within_the_upstreams_handshake(lab: Lab) -> None:
    """The model's side of it ends at once."""
    seen: list[Peer] = []

    async def model(peer: Peer) -> None:
        await peer.receive()
        seen.append(peer)
        await peer.read_all()

    await behind(lab, model, Tls(upstream_ca=file("ca.pem")))
    client = await lab.client()
    await lab.until(lambda: seen)
    client.reset()
    await lab.until(lambda: seen[0].over)
    await lab.idle()
    assert lab.reasons("tls_upstream") == {}


async def test_client_that_half_closes_in_front_of_tls(lab: Lab) -> None:
    """Its FIN cannot be passed on without losing the answer, so it is not; the answer arrives whole, then the end."""
    asked = asyncio.Event()

    async def model(peer: Peer) -> None:
        await peer.read_message()
        await asked.wait()
        await peer.send(answer(b"x" * 200_000))
        await peer.read_all()

    await behind(lab, secured(model, presenting()), Tls(upstream_ca=file("ca.pem")), half_closed_timeout=0.2)
    client = await lab.client()
    await client.send(get("/a", ID))
    client.fin()
    await lab.until(lambda: lab.in_flight() == 1)
    asked.set()
    assert (await client.read_message()).body == b"x" * 200_000
    assert await client.read_all() == b""
    assert client.over == "fin"
    await lab.finished(1)
    assert lab.outcomes() == {("200", ""): 1}


async def test_tls_on_both_sides_behind_the_proxy_protocol(lab: Lab) -> None:
    """The header comes before the handshake with the model, and names the client."""
    said: list[bytes] = []

    async def model(peer: Peer) -> None:
        said.append(await asyncio.get_running_loop().sock_recv(peer.sock, 28))
        await secured(serving(ok), presenting())(peer)

    settings = Tls(cert=SERVING.cert, key=SERVING.key, upstream_ca=file("ca.pem"))
    await behind(lab, model, settings, proxy_protocol=True)
    client = await secure(lab)
    await client.send(get("/a", ID))
    assert (await client.read_message()).status == 200
    assert said[0][12:] == b"\x21\x11\x00\x0c" + b"\x7f\x00\x00\x01" * 2 + b"".join(
        name[1].to_bytes(2) for name in (client.sock.getsockname(), client.sock.getpeername())
    )
    client.close()


# ---------------------------------------------------------------- files


def serve_from(folder: Path, name: str) -> None:
    """Put a certificate and its key there, as new files."""
    for kind in ("pem", "key"):
        shutil.copy(file(f"{name}.{kind}"), folder / f"next.{kind}")
        os.replace(folder / f"next.{kind}", folder / f"tls.{kind}")


def reread(contexts: Contexts) -> None:
    """What two beats of the worker do."""
    contexts.refresh()
    contexts.refresh()


def _number(peer: SecurePeer) -> str:
    found = peer.tls.getpeercert()
    assert found is not None
    return str(found["serialNumber"])


async def test_renewed_certificate(lab: Lab, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """New handshakes see it, connections that stand go on; a broken one changes nothing, and is said once."""
    caplog.set_level(logging.INFO, "exporter.proxy.tls")
    serve_from(tmp_path, "server")
    settings = Tls(cert=str(tmp_path / "tls.pem"), key=str(tmp_path / "tls.key"))
    await lab.start(serving(ok), tls=settings)
    standing = await secure(lab)
    serve_from(tmp_path, "renewed")
    reread(lab.plane.tls)
    new = await secure(lab)
    assert _number(new) != _number(standing)
    (tmp_path / "tls.key").write_bytes(Path(file("server.key")).read_bytes())
    for _ in range(3):
        reread(lab.plane.tls)
    later = await secure(lab)
    assert _number(later) == _number(new)
    for client in (standing, new, later):
        await client.send(get("/a", ID))
        assert (await client.read_message()).status == 200
        client.close()
    assert [(record.levelname, "not the key of" in record.message) for record in caplog.records] == [
        ("INFO", False),
        ("ERROR", True),
    ]
    serve_from(tmp_path, "server")
    reread(lab.plane.tls)
    last = await secure(lab)
    assert _number(last) == _number(standing)
    last.close()


async def test_expired_certificate_of_ours(lab: Lab, tmp_path: Path) -> None:
    """At the start as after a reload: who checks it leaves, who does not is served; a new one heals."""
    serve_from(tmp_path, "expired")
    await lab.start(serving(ok), tls=Tls(cert=str(tmp_path / "tls.pem"), key=str(tmp_path / "tls.key")))
    blind = trusting()
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
    for _ in range(2):
        assert not await served(lab, trusting(ca="expired.pem"))
        assert await served(lab, blind)
        reread(lab.plane.tls)
    assert lab.reasons("tls_listener") == {"certificate": 2}
    serve_from(tmp_path, "server")
    reread(lab.plane.tls)
    assert await served(lab)


async def test_expired_certificate_towards_the_model(lab: Lab) -> None:
    """Ours, where the model asks for one: it is refused by the model, and the client is answered."""
    settings = Tls(
        upstream_ca=file("ca.pem"), upstream_cert=file("expired.pem"), upstream_key=file("expired.key")
    )
    await behind(lab, secured(serving(ok), presenting(ca="expired.pem")), settings)
    answered = await lab.ask(get("/a", ID))
    assert answered.head == b"" or answered.status == 503
    await lab.finished(1)


def test_files_are_read_when_they_are_still(tmp_path: Path) -> None:
    """A certificate and its key are written one after the other: between the two nothing is tried."""
    serve_from(tmp_path, "server")
    settings = Tls(cert=str(tmp_path / "tls.pem"), key=str(tmp_path / "tls.key"))
    contexts = Contexts(Settings(upstreams=(), tls=settings))
    assert contexts._clients is not None
    first = contexts._clients.context
    shutil.copy(file("renewed.pem"), tmp_path / "tls.pem")
    contexts.refresh()
    shutil.copy(file("renewed.key"), tmp_path / "tls.key")
    assert contexts.refresh() == []
    assert contexts._clients.context is first
    assert contexts.refresh() == ["success"]
    assert contexts._clients.context is not first


def test_files_that_vanish(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was read serves on."""
    serve_from(tmp_path, "server")
    settings = Tls(cert=str(tmp_path / "tls.pem"), key=str(tmp_path / "tls.key"))
    contexts = Contexts(Settings(upstreams=(), tls=settings))
    (tmp_path / "tls.pem").unlink()
    assert [contexts.refresh() for _ in range(5)] == [[], ["failure"], [], [], []]
    assert [record.message for record in caplog.records] == [
        f"--tls-cert {tmp_path}/tls.pem: cannot be read: No such file or directory; expected a PEM file with the "
        "certificate and its chain; the certificates read before serve on"
    ]


async def test_changed_authorities(lab: Lab, tmp_path: Path) -> None:
    """An authority that is taken away lets its clients in no more; the one that took its place does."""
    authorities = tmp_path / "ca.pem"
    shutil.copy(file("ca.pem"), authorities)
    settings = Tls(cert=SERVING.cert, key=SERVING.key, client_ca=str(authorities), client_auth="required")
    await lab.start(serving(ok), tls=settings)
    assert await served(lab, trusting(cert="client"))
    shutil.copy(file("other-ca.pem"), authorities)
    reread(lab.plane.tls)
    assert await served(lab, trusting(cert="other-client"))
    assert not await served(lab, trusting(cert="client"))


async def test_changed_authority_of_the_upstream(lab: Lab, tmp_path: Path) -> None:
    """The next dial goes by the new one."""
    authorities = tmp_path / "ca.pem"
    shutil.copy(file("other-ca.pem"), authorities)
    await behind(lab, secured(serving(ok), presenting()), Tls(upstream_ca=str(authorities)))
    assert (await lab.ask(get("/a", ID))).status == 503
    shutil.copy(file("ca.pem"), authorities)
    reread(lab.plane.tls)
    assert (await lab.ask(get("/a", ID))).status == 200


GOOD = {"cert": file("server.pem"), "key": file("server.key")}
UPSTREAM = {"upstream_cert": file("client.pem"), "upstream_key": file("client.key")}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({**GOOD, "cert": "/none.pem"}, "--tls-cert /none.pem: cannot be read: No such file or directory"),
        ({**GOOD, "key": "/none.key"}, "--tls-key /none.key: cannot be read: No such file or directory"),
        (
            {**GOOD, "cert": file("server.key")},
            f"--tls-cert {file('server.key')}: holds none; expected a PEM",
        ),
        ({**GOOD, "key": file("server.pem")}, f"--tls-key {file('server.pem')}: holds none; expected a PEM"),
        (
            {**GOOD, "key": file("renewed.key")},
            f"--tls-key {file('renewed.key')}: not the key of {GOOD['cert']}",
        ),
        ({**GOOD, "key": file("encrypted.key")}, "and its private key without a password"),
        (
            {**GOOD, "client_auth": "required", "client_ca": "/none.pem"},
            "--tls-client-ca /none.pem: cannot be read",
        ),
        ({"upstream_ca": file("server.key")}, f"--upstream-ca {file('server.key')}: holds none"),
        ({**UPSTREAM, "upstream_key": "/none.key"}, "--upstream-key /none.key: cannot be read"),
        ({**UPSTREAM, "upstream_cert": "/none.pem"}, "--upstream-cert /none.pem: cannot be read"),
    ],
)
def test_files_that_cannot_be_used(values: dict[str, str], expected: str) -> None:
    """At the start it is an error: which setting, which file, why, what was expected."""
    with pytest.raises(TlsError) as caught:
        Contexts(Settings(upstreams=(Upstream(host="localhost", port=1, tls=True),), tls=Tls(**values)))
    assert expected in str(caught.value)


def test_pem_that_is_none(tmp_path: Path) -> None:
    """A file that only looks like one is told with OpenSSL's reason."""
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    with pytest.raises(TlsError, match=r"--upstream-ca .*broken\.pem: .+; expected a PEM file"):
        tls.upstream_context(Tls(upstream_ca=str(broken)))
    with pytest.raises(TlsError, match=r"--tls-cert .*broken\.pem and --tls-key .*: .+; expected a cert"):
        tls.listener_context(Tls(cert=str(broken), key=file("server.key")))


def test_nothing_configured() -> None:
    """No context is made, and nothing is read."""
    contexts = Contexts(Settings(upstreams=(Upstream(host="localhost", port=1),)))
    assert contexts.serving() == {}
    contexts.refresh()


def test_times_that_are_switched_off() -> None:
    """Without a header timeout a handshake still has a bound."""
    contexts = Contexts(Settings(upstreams=(), tls=SERVING, header_timeout=0, half_closed_timeout=0))
    assert (contexts.serving()["ssl_handshake_timeout"], contexts.serving()["ssl_shutdown_timeout"]) == (
        60,
        60,
    )


def test_name_to_expect() -> None:
    """The configured one, else the host without a final dot."""
    assert tls.server_name(Tls(upstream_name="a"), Upstream(host="b")) == "a"
    assert tls.server_name(Tls(), Upstream(host="b.svc.")) == "b.svc"
    assert tls.server_name(Tls(), Upstream(path="/run/model.sock")) == "localhost"
