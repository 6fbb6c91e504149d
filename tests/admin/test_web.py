"""web.config: what the file may say, against Prometheus' own reader of the same format."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.admin.web import WebConfig, WebError, context, read
from tests.environments.tools import tools
from tests.proxy.secure import FILES

HASH = "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze"
TLS = {"cert_file": str(FILES / "server.pem"), "key_file": str(FILES / "server.key")}
MUTUAL = {**TLS, "client_auth_type": "RequireAndVerifyClientCert", "client_ca_file": str(FILES / "ca.pem")}

GOOD: list[dict[str, Any]] = [
    {},
    {"tls_server_config": TLS},
    {"tls_server_config": {**MUTUAL, "client_allowed_sans": ["client.example"]}},
    {"tls_server_config": {**TLS, "min_version": "TLS13", "max_version": "TLS13"}},
    {"basic_auth_users": {"alice": HASH, "bob": HASH.replace("$2y$10", "$2a$04")}},
    {"tls_server_config": TLS, "http_server_config": {"http2": False}},
    {
        "http_server_config": {
            "headers": {"X-Frame-Options": "deny", "Strict-Transport-Security": "max-age=1"}
        }
    },
]
BAD: list[tuple[dict[str, Any], str]] = [
    ({"tls": TLS}, "tls: expected one of basic_auth_users"),
    ({"tls_server_config": {**TLS, "cert": 1}}, "tls_server_config.cert: expected one of"),
    ({"tls_server_config": {"cert_file": TLS["cert_file"]}}, "tls_server_config.key_file: expected the name"),
    (
        {"tls_server_config": {**TLS, "client_auth_type": "RequireAndVerifyClientCert"}},
        "tls_server_config.client_ca_file: expected the name",
    ),
    ({"tls_server_config": {**TLS, "client_auth_type": "Always"}}, "'Always': expected one of NoClientCert"),
    ({"tls_server_config": {**TLS, "min_version": "SSL3"}}, "'SSL3': expected one of TLS12, TLS13"),
    (
        {"tls_server_config": {**TLS, "min_version": "TLS13", "max_version": "TLS12"}},
        "max_version: expected no less than min_version",
    ),
    ({"tls_server_config": {**TLS, "client_allowed_sans": ["a"]}}, "expected client_auth_type that verifies"),
    ({"tls_server_config": [TLS]}, "expected a mapping"),
    ({"basic_auth_users": {"alice": "hunter2"}}, "basic_auth_users.alice: expected a bcrypt hash"),
    ({"basic_auth_users": {"alice": HASH.replace("$10$", "$31$")}}, "expected a bcrypt cost from 4 to 14"),
    ({"http_server_config": {"headers": {"X-Mine": "1"}}}, "headers.X-Mine: expected one of"),
    ({"rate_limit": {"interval": "soon"}}, "rate_limit.interval: 'soon': expected a duration"),
    ({"rate_limit": {"interval": "1s", "burst": 0}}, "rate_limit.burst: 0: expected a whole number"),
]


def written(folder: Path, content: object) -> str:
    file = folder / "web.yml"
    file.write_text(yaml.safe_dump(content))
    return str(file)


@pytest.mark.parametrize("content", GOOD)
def test_good_files_are_read_as_prometheus_reads_them(tmp_path: Path, content: dict[str, Any]) -> None:
    """promtool takes the same file."""
    file = written(tmp_path, content)
    found = read(file)
    assert set(found.users) == set(content.get("basic_auth_users", {}))
    assert (found.tls is None) is ("tls_server_config" not in content)
    if found.tls is not None:
        assert context(found.tls).minimum_version == found.tls.versions[0]
    done = subprocess.run(
        [tools() / "promtool", "check", "web-config", file],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("content", "problem"), BAD)
def test_bad_files_are_refused(tmp_path: Path, content: dict[str, Any], problem: str) -> None:
    """With file, place, and what was expected; a password in place of a hash is not repeated."""
    file = written(tmp_path, content)
    with pytest.raises(WebError) as refusal:
        read(file)
    assert problem in str(refusal.value)
    assert str(refusal.value).startswith(f"{file}: ")
    assert "hunter2" not in str(refusal.value)


def test_all_problems_at_once(tmp_path: Path) -> None:
    """One line each."""
    bad: dict[str, Any] = {"x": 1, "tls_server_config": {"min_version": "1"}, "basic_auth_users": {"a": ""}}
    with pytest.raises(WebError) as refusal:
        read(written(tmp_path, bad))
    assert len(refusal.value.problems) == 5


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    """As Prometheus takes them; an absolute one stays."""
    (tmp_path / "a.pem").write_text("")
    file = written(tmp_path, {"tls_server_config": {"cert_file": "a.pem", "key_file": "/b.key"}})
    assert read(file).files == (str(tmp_path / "a.pem"), "/b.key")


@pytest.mark.parametrize(
    ("text", "problem"), [("a: [", "not YAML"), ("- 1", "expected a mapping, found list"), ("", None)]
)
def test_files_that_are_no_mapping(tmp_path: Path, text: str, problem: str | None) -> None:
    """Are told apart from empty ones, which say nothing."""
    file = tmp_path / "web.yml"
    file.write_text(text)
    if problem is None:
        assert read(str(file)) == WebConfig()
        return
    with pytest.raises(WebError, match=problem):
        read(str(file))


def test_missing_file(tmp_path: Path) -> None:
    """Is a problem with its reason."""
    with pytest.raises(WebError, match="cannot be read: No such file"):
        read(str(tmp_path / "none.yml"))


def test_certificates_that_do_not_fit(tmp_path: Path) -> None:
    """Are told with their files."""
    wrong = {"cert_file": TLS["cert_file"], "key_file": str(FILES / "client.key")}
    found = read(written(tmp_path, {"tls_server_config": wrong}))
    assert found.tls is not None
    with pytest.raises(WebError, match=r"server\.pem, .*client\.key: key values mismatch"):
        context(found.tls)
