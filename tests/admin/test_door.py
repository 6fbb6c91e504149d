"""door.py: who may write: by the peer of the connection, or by the token in a file."""

import os
from pathlib import Path

import pytest

from exporter.admin.door import MAX_TOKEN, Door, token_of

HERE = ("127.0.0.1", 40000)
TOKEN = "s3cret-token-of-the-owner"
BEARER = {"authorization": f"Bearer {TOKEN}", "host": "modeltap.example:9464"}

PEERS = [
    (HERE, None),
    (("127.0.0.53", 1), None),
    (("::1", 1, 0, 0), None),
    (("::ffff:127.0.0.1", 1, 0, 0), None),
    (("10.0.0.7", 1), 403),
    (("::ffff:10.0.0.7", 1, 0, 0), 403),
    (("fe80::1%eth0", 1, 0, 2), 403),
    (("2001:db8::1", 1, 0, 0), 403),
    (("127.0.0.6", 1), 403),
    (("::ffff:127.0.0.6", 1, 0, 0), 403),
    (("::6", 1, 0, 0), 403),
    (("localhost", 1), 403),
    ("", 403),
    (None, 403),
    ((), 403),
]


@pytest.mark.parametrize(("peer", "status"), PEERS)
def test_who_is_here(peer: object, status: int | None) -> None:
    """Loopback of either family, also mapped; not another host, nor a mesh's proxy that dials from loopback."""
    refused = Door().judge(peer, {"host": "localhost:9464"})
    assert (refused.status if refused else None) == status


HOSTS = [
    *[(host, None) for host in ("127.0.0.1", "127.0.0.1:9464", "[::1]:9464", "[::1]", "::1", "LOCALHOST:1")],
    *[(host, None) for host in ("10.0.0.7:9464", "model.localhost:9464")],
    *[
        (host, 403)
        for host in ("", "evil.example", "evil.example:9464", "localhost.evil.example", "127.0.0.1.nip.io")
    ],
    *[(host, 403) for host in ("[evil]:1", "xlocalhost", "127.0.0.1@evil.example")],
]


@pytest.mark.parametrize(("host", "status"), HOSTS)
def test_a_name_that_was_made_to_point_here(host: str, status: int | None) -> None:
    """A page whose name is rebound to this host has that name in the field Host."""
    refused = Door().judge(HERE, {"host": host})
    assert (refused.status if refused else None) == status


@pytest.mark.parametrize(
    "fields",
    [
        *({"origin": value} for value in ("http://127.0.0.1:9464", "null", "")),
        {"sec-fetch-site": "same-origin"},
        *({name: "127.0.0.1"} for name in ("x-forwarded-for", "forwarded", "x-real-ip", "via")),
        {"x-forwarded-for": ""},
    ],
)
def test_pages_and_proxies(fields: dict[str, str]) -> None:
    """What a browser sends, and what came through a proxy, is not from here; what such a field says opens nothing."""
    for peer in (HERE, ("10.0.0.7", 1)):
        refused = Door().judge(peer, {"host": "127.0.0.1", **fields})
        assert refused is not None
        assert refused.status == 403


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return path


SHOWN = [
    (f"Bearer {TOKEN}", None),
    (f"bearer  {TOKEN} ", None),
    *[(shown, 401) for shown in ("", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x")],
    *[(shown, 401) for shown in (f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN.upper()}", "Bearer \udce9é")],
]


@pytest.mark.parametrize(("shown", "status"), SHOWN)
def test_a_token_is_shown_by_everybody(file: Path, shown: str, status: int | None) -> None:
    """With a token configured it decides alone, for this host and all others, by whatever name they call us."""
    for peer in (HERE, ("10.0.0.7", 1)):
        refused = Door(str(file)).judge(peer, {"authorization": shown, "host": "modeltap.example"})
        assert (refused.status if refused else None) == status


def test_a_certificate_is_as_good_as_being_here(file: Path) -> None:
    """Where no token is configured; a page does not write with one, and a token is asked for all the same."""
    elsewhere = ("10.0.0.7", 1)
    assert Door().judge(elsewhere, {"host": "modeltap.example"}, certified=True) is None
    assert Door().judge(elsewhere, {"host": "modeltap.example", "origin": "null"}, certified=True) is not None
    assert Door(str(file)).judge(elsewhere, {"host": "modeltap.example"}, certified=True) is not None


def test_a_token_beside_a_password(file: Path) -> None:
    """In a field of its own, where Authorization is taken by the users of the admin side."""
    door = Door(str(file))
    basic = {"authorization": "Basic YTpi"}
    assert door.judge(HERE, {**basic, "x-modeltap-token": TOKEN}) is None
    for wrong in ("", "x", f"Bearer {TOKEN}"):
        assert door.judge(HERE, {**basic, "x-modeltap-token": wrong}) is not None


def test_a_page_does_not_write_with_a_token_either(file: Path) -> None:
    """No browser has a reason to."""
    assert Door(str(file)).judge(HERE, {**BEARER, "origin": "http://a"}) is not None


def test_the_file_is_read_again_when_it_changes(file: Path) -> None:
    """A new token holds from the next request on, also where the file was replaced as Kubernetes does it."""
    door = Door(str(file))
    assert door.judge(HERE, BEARER) is None
    file.write_text("another")
    assert door.judge(HERE, BEARER) is not None
    assert door.judge(HERE, {"authorization": "Bearer another"}) is None
    other = file.with_name("new")
    other.write_text(TOKEN)
    link = file.with_name("link")
    link.symlink_to(other)
    os.replace(link, file)
    assert door.judge(HERE, BEARER) is None


@pytest.mark.parametrize(
    "content", [None, b"", b" \n", b"two words", b"one\ntwo", b"x" * (MAX_TOKEN + 1), b"\xff"]
)
def test_a_file_that_holds_no_token_closes(
    file: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody writes, not even who knows the last token; it is told once, and opens again with the file."""
    door = Door(str(file))
    assert door.judge(HERE, BEARER) is None
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    for _ in range(3):
        for fields in (BEARER, {"authorization": "Bearer "}, {"host": "127.0.0.1"}):
            refused = door.judge(HERE, fields)
            assert refused is not None
            assert refused.status == 503
    assert len(caplog.records) == 1
    assert str(file) in caplog.text
    file.write_text(TOKEN)
    assert door.judge(HERE, BEARER) is None


def test_a_token_is_one_line() -> None:
    """Space around it is none of it."""
    assert token_of(b" abc\r\n") == b"abc"
