"""The admin side behind a web.config, over real sockets; a real Prometheus gets in."""

import asyncio
import base64
import os
import shutil
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import bcrypt
import pytest
import yaml

from exporter.admin import server as admin
from exporter.admin.guard import Guard
from exporter.admin.web import WebError
from exporter.publish.negotiation import TEXT
from tests.proxy.secure import FILES

HASH = bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode()
TLS = {"cert_file": "server.pem", "key_file": "server.key"}
MUTUAL = {**TLS, "client_auth_type": "RequireAndVerifyClientCert", "client_ca_file": "ca.pem"}


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


RIGHT = basic("alice", "open sesame")
Body = Callable[[aiohttp.ClientSession, str], Awaitable[None]]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def written(folder: Path, content: dict[str, Any]) -> Path:
    for source in FILES.glob("*.pem"):
        shutil.copy(source, folder)
    for source in FILES.glob("*.key"):
        shutil.copy(source, folder)
    file = folder / "web.yml"
    file.write_text(yaml.safe_dump(content))
    return file


def serve(guard: Guard, body: Body, scheme: str = "http") -> None:
    """Run `body(session, address)` against the guarded admin side."""

    async def render(accept: str, names: frozenset[str]) -> tuple[bytes, str]:
        return b"up 1\n", TEXT

    async def main() -> None:
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        runner = await admin.serve(sock, admin.Pages(render), guard)
        try:
            async with aiohttp.ClientSession() as session:
                await body(session, f"{scheme}://127.0.0.1:{sock.getsockname()[1]}/metrics")
        finally:
            await runner.cleanup()

    asyncio.run(main())


async def status(session: aiohttp.ClientSession, url: str, **options: Any) -> int:
    async with session.get(url, **options) as response:
        return response.status


def client_context(certificate: str = "", ca: str = "ca.pem") -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(FILES / ca))
    made.check_hostname = False
    if certificate:
        made.load_cert_chain(FILES / f"{certificate}.pem", FILES / f"{certificate}.key")
    return made


def test_only_a_name_with_its_password_gets_in(tmp_path: Path) -> None:
    """401 with a challenge otherwise, and nothing of the page."""
    guard = Guard(str(written(tmp_path, {"basic_auth_users": {"alice": HASH}})))

    async def body(session: aiohttp.ClientSession, url: str) -> None:
        for wrong in (
            None,
            basic("alice", "open"),
            basic("bob", "open sesame"),
            basic("", ""),
        ):
            async with session.get(url, headers=wrong) as response:
                assert response.status == 401
                assert response.headers["WWW-Authenticate"].startswith("Basic ")
                assert "up 1" not in await response.text()
        for odd in ("Bearer x", "Basic !!!", "Basic", "Basic YWxpY2U=", "Basic \u00ff"):
            assert await status(session, url, headers={"Authorization": odd}) == 401
        for _ in range(3):
            assert await status(session, url, headers=RIGHT) == 200

    serve(guard, body)
    assert guard.refused == {"unauthorized": 9, "forbidden": 0, "rate_limited": 0}


def test_a_password_is_checked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """bcrypt is slow on purpose; a scrape each second is not to pay for it each time."""
    checked = []
    check = bcrypt.checkpw
    monkeypatch.setattr(bcrypt, "checkpw", lambda *args: checked.append(args) or check(*args))
    guard = Guard(str(written(tmp_path, {"basic_auth_users": {"alice": HASH}})))

    async def body(session: aiohttp.ClientSession, url: str) -> None:
        for _ in range(5):
            assert await status(session, url, headers=RIGHT) == 200

    serve(guard, body)
    assert len(checked) == 1


def test_tls_and_client_certificates(tmp_path: Path) -> None:
    """Served over TLS only; with RequireAndVerifyClientCert only to certificates of the authority."""
    guard = Guard(str(written(tmp_path, {"tls_server_config": MUTUAL})))

    async def body(session: aiohttp.ClientSession, url: str) -> None:
        assert await status(session, url, ssl=client_context("client")) == 200
        for wrong in (client_context(), client_context("other-client")):
            with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
                await status(session, url, ssl=wrong)
        with pytest.raises(aiohttp.ClientError):
            await status(session, url.replace("https", "http"))

    serve(guard, body, "https")


@pytest.mark.parametrize(("names", "expected"), [(["nobody.example"], 403), (None, 200)])
def test_names_in_the_certificate(tmp_path: Path, names: list[str] | None, expected: int) -> None:
    """`client_allowed_sans` refuses what the authority signed for others."""
    extra = {"client_allowed_sans": names} if names else {}
    guard = Guard(str(written(tmp_path, {"tls_server_config": {**MUTUAL, **extra}})))

    async def body(session: aiohttp.ClientSession, url: str) -> None:
        assert await status(session, url, ssl=client_context("client")) == expected

    serve(guard, body, "https")


def test_rate_limit(tmp_path: Path) -> None:
    """A burst, then one request per interval: 429 with Retry-After."""
    clock = Clock()
    guard = Guard(str(written(tmp_path, {"rate_limit": {"interval": "10s", "burst": 2}})), clock)

    async def body(session: aiohttp.ClientSession, url: str) -> None:
        assert [await status(session, url) for _ in range(4)] == [200, 200, 429, 429]
        clock.now += 10.0
        assert [await status(session, url) for _ in range(2)] == [200, 429]

    serve(guard, body)


def test_headers_are_on_every_answer(tmp_path: Path) -> None:
    """Refusals included."""
    content = {
        "http_server_config": {"headers": {"X-Frame-Options": "deny"}},
        "basic_auth_users": {"alice": HASH},
    }
    guard = Guard(str(written(tmp_path, content)))

    async def body(session: aiohttp.ClientSession, url: str) -> None:
        for auth in (None, RIGHT):
            async with session.get(url, headers=auth) as response:
                assert response.headers["X-Frame-Options"] == "deny"

    serve(guard, body)


def test_changes_are_followed_and_mistakes_are_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Other users at once; a broken file, a vanished one, or one without TLS changes nothing and is told once."""
    clock = Clock()
    file = written(tmp_path, {"basic_auth_users": {"alice": HASH}})
    guard = Guard(str(file), clock)

    def replaced(text: str | None) -> None:
        if text is None:
            file.unlink()
        else:
            (tmp_path / "new").write_text(text)
            os.replace(tmp_path / "new", file)
        for _ in range(2):  # seen, and seen to be still
            clock.now += 2.0
            guard.refresh()

    async def body(session: aiohttp.ClientSession, url: str) -> None:
        assert await status(session, url, headers=RIGHT) == 200
        for broken in (
            "a: [",
            "basic_auth_users: {alice: x}",
            None,
            yaml.safe_dump({"tls_server_config": TLS}),
        ):
            replaced(broken)
            assert await status(session, url, headers=RIGHT) == 200
            assert await status(session, url) == 401
        replaced(yaml.safe_dump({"basic_auth_users": {"bob": HASH}}))
        assert await status(session, url, headers=RIGHT) == 401
        assert await status(session, url, headers=basic("bob", "open sesame")) == 200

    serve(guard, body)
    assert sum("stays in force" in record.message for record in caplog.records) == 4


def test_a_renewed_certificate_is_shown(tmp_path: Path) -> None:
    """New handshakes get it, without a restart."""
    clock = Clock()
    guard = Guard(str(written(tmp_path, {"tls_server_config": TLS})), clock)

    async def serial(url: str) -> int:
        host, port = url.removeprefix("https://").partition("/")[0].split(":")
        made = client_context()
        made.verify_mode = ssl.CERT_NONE
        _, writer = await asyncio.open_connection(host, int(port), ssl=made)
        certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(True)
        writer.close()
        return hash(certificate)

    async def body(session: aiohttp.ClientSession, url: str) -> None:
        before = await serial(url)
        shutil.copy(FILES / "renewed.pem", tmp_path / "server.pem")
        shutil.copy(FILES / "renewed.key", tmp_path / "server.key")
        for _ in range(2):
            clock.now += 2.0
            guard.refresh()
        assert await serial(url) != before
        assert reloads == ["success"]
        (tmp_path / "server.pem").unlink()
        for _ in range(2):
            clock.now += 2.0
            guard.refresh()
        assert reloads == ["success", "failure"]

    reloads: list[str] = []
    guard.reloaded = reloads.append

    serve(guard, body, "https")


def test_a_file_that_cannot_be_used_is_told_at_the_start(tmp_path: Path) -> None:
    """Rather than serving without it."""
    with pytest.raises(WebError):
        Guard(str(tmp_path / "none.yml"))
