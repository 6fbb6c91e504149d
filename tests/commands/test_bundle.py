"""`modeltap check --bundle`: what is in it, and that nothing of a deployment full of secrets is."""

import base64
import http.client
import json
import shutil
import stat
import tarfile
from pathlib import Path

import bcrypt
import pytest

import exporter
from exporter.commands import bundle as bundling
from exporter.commands.bundle import FOLDER, MAX_MEMBER, Bundle
from tests.app.conftest import Start, start, upstream
from tests.app.upstream import Upstream
from tests.commands.test_check import check
from tests.e2e.processes import LOOPBACK, free_ports, wait_until
from tests.proxy.secure import FILES

__all__ = ["start", "upstream"]
ALWAYS = {
    *("check.txt", "configuration.json", "environment.json", "versions.json", "limits.json"),
    *("kernel.txt", "cgroup.txt", "notes.txt"),
}
SEEN = {"metrics.txt", "drift.json", "status.json", "log.txt"}
# Each of another place: one found says where it came from.
SECRETS = {
    place: f"{place}-53cr3t"
    for place in (
        *(
            "body",
            "row",
            "header",
            "cookie",
            "authorization",
            "query",
            "request-id",
            "answer",
            "user",
            "password",
        ),
        *("write-token", "otlp-header", "otlp-user", "target-query"),
    )
}


def members(place: Path) -> dict[str, str]:
    """Name and text of everything in the archive."""
    found = {}
    with tarfile.open(place, "r:gz") as archive:
        for info in archive:
            assert info.isfile()
            stream = archive.extractfile(info)
            assert stream is not None
            found[info.name.removeprefix(f"{FOLDER}/")] = stream.read().decode()
    return found


def web_config(folder: Path) -> Path:
    """TLS, and a user with a password."""
    for source in (*FILES.glob("*.pem"), *FILES.glob("*.key")):
        shutil.copy(source, folder)
    hashed = bcrypt.hashpw(SECRETS["password"].encode(), bcrypt.gensalt(4)).decode()
    file = folder / "web.yml"
    tls = "tls_server_config: {cert_file: server.pem, key_file: server.key}\n"
    file.write_text(f"{tls}basic_auth_users: {{{SECRETS['user']}: '{hashed}'}}\n")
    (folder / "user").write_text(f"{SECRETS['user']}:{SECRETS['password']}\n")
    return file


def ask(port: int) -> None:
    """One exchange that carries a secret wherever it can."""
    column = {"name": "x", "shape": [2], "datatype": "FP64", "data": [0.5, 1.5]}
    words = {"name": "word", "shape": [2], "datatype": "BYTES", "data": [SECRETS["row"], "b"]}
    body = {"id": SECRETS["body"], "parameters": {"note": SECRETS["body"]}, "inputs": [column, words]}
    headers = {
        "X-Own": SECRETS["header"],
        "Cookie": f"session={SECRETS['cookie']}",
        "Authorization": f"Bearer {SECRETS['authorization']}",
        "X-Request-Id": SECRETS["request-id"],
    }
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=30)
    connection.request("POST", f"/v2/models/echo/infer?key={SECRETS['query']}", json.dumps(body), headers)
    assert connection.getresponse().read()
    connection.close()


def test_no_secret_of_a_deployment(start: Start, upstream: Upstream, tmp_path: Path) -> None:
    """Bodies, header values, queries, tokens, passwords and hashes of a deployment: not one of them is in it."""
    target = f"http://127.0.0.1:9/?k={SECRETS['target-query']}"
    upstream.whole = upstream.whole.replace(
        b'"model_version"', f'"id":"{SECRETS["answer"]}","model_version"'.encode()
    )
    home = tmp_path / "home"
    home.mkdir()
    (home / "token").write_text(SECRETS["write-token"])
    web = web_config(home)
    environ = {
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{SECRETS['otlp-header']}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{SECRETS['otlp-user']}:x@127.0.0.1:9",
    }
    flags = [
        "--write-token-file",
        str(home / "token"),
        "--web-config",
        str(web),
        "--payload-log-target",
        target,
    ]
    flags += ["--access-log", str(home / "access.jsonl")]
    sidecar = start("--series-hold", "0", *flags, "--log-level", "debug", environment=environ)
    for _ in range(3):
        ask(sidecar.listen)
    wait_until(lambda: (home / "access.jsonl").exists(), "the analysis has seen them", 60)
    flags += ["--admin", f"localhost:{sidecar.admin}", "--health", f"{LOOPBACK}:{sidecar.health}"]
    flags += ["--upstream", f"http://{LOOPBACK}:{upstream.port}", "--bundle", str(tmp_path / "b.tar.gz")]
    flags += ["--bundle-ca", str(home / "ca.pem"), "--bundle-user-file", str(home / "user")]
    done = check(*flags, "--bundle-log", str(sidecar.log), **environ)
    assert done.returncode == 0, done.stderr
    found = members(tmp_path / "b.tar.gz")
    assert set(found) == ALWAYS | SEEN, found["notes.txt"]
    basic = base64.b64encode(f"{SECRETS['user']}:{SECRETS['password']}".encode()).decode()
    leaked = {
        (name, secret)
        for name, text in found.items()
        for secret in (*SECRETS.values(), basic, "$2b$")
        if secret in text
    }
    assert not leaked
    assert found["notes.txt"] == ""
    assert 'model_request_duration_seconds_count{model_name="echo"' in found["metrics.txt"]
    assert json.loads(found["configuration.json"])["access_log"] == str(home / "access.jsonl")
    assert json.loads(found["status.json"])["/livez"]
    assert json.loads(found["versions.json"])["modeltap"] == exporter.__version__
    assert "listening on" in found["log.txt"]
    assert stat.S_IMODE((tmp_path / "b.tar.gz").stat().st_mode) == 0o600


def test_nobody_is_there(tmp_path: Path) -> None:
    """Without a sidecar, a log, or an admin side that lets one in there is a note for each, and the rest."""
    admin, health = free_ports(2)
    place = tmp_path / "b.tar.gz"
    flags = ["--upstream", "http://127.0.0.1:1", "--offline", "--admin", f"127.0.0.1:{admin}"]
    flags += [
        "--health",
        f"127.0.0.1:{health}",
        "--bundle",
        str(place),
        "--bundle-log",
        str(tmp_path / "none"),
    ]
    flags += ["--bundle-ca", str(tmp_path / "none"), "--bundle-user-file", str(tmp_path / "none")]
    done = check(*flags)
    assert done.returncode == 0, done.stderr
    found = members(place)
    assert set(found) == ALWAYS | {"status.json"}
    notes = found["notes.txt"].splitlines()
    for begin in ("--bundle-ca", "--bundle-user-file", "https://127.0.0.1", "http://127.0.0.1", "log.txt"):
        assert any(note.startswith(begin) for note in notes), begin
    assert all(f"not in it: {note}" in done.stdout for note in notes)
    assert "model_up" in found["check.txt"]
    assert "RLIMIT_NOFILE" in json.loads(found["limits.json"])["rlimits"]


def test_settings_with_problems(tmp_path: Path) -> None:
    """They are what is asked about most: the bundle tells them, without what they hold; the status is 2 as ever."""
    place = tmp_path / "b.tar.gz"
    secret = "http://me:53cr3t-password@a/x?key=53cr3t-query"
    (tmp_path / "modeltap.yaml").write_text(f"upstream: {secret}\nno_such: 1\n")
    done = check("--config", str(tmp_path / "modeltap.yaml"), "--bundle", str(place))
    assert done.returncode == 2
    found = members(place)
    assert set(found) == ALWAYS
    assert "no_such: unknown setting" in found["check.txt"]
    assert "53cr3t" not in "".join(found.values())


@pytest.mark.parametrize("place", [".", "missing/b.tar.gz"])
def test_a_place_that_cannot_be_written(tmp_path: Path, place: str) -> None:
    """A problem like any other."""
    done = check("--upstream", "http://127.0.0.1:1", "--offline", "--bundle", str(tmp_path / place))
    assert done.returncode == 2
    assert "expected a file that can be written" in done.stderr


def test_members_are_bounded(tmp_path: Path) -> None:
    """What is too long is cut, and the notes tell it; of a log the end counts."""
    made = Bundle()
    made.add("long.txt", "x" * (MAX_MEMBER + 1))
    (tmp_path / "log").write_text("first\n" + "x" * bundling.LOG_TAIL + "last\n")
    bundling.add_log(made, str(tmp_path / "log"))
    assert len(made.members["long.txt"]) == MAX_MEMBER
    assert made.notes == [f"long.txt: the first {MAX_MEMBER} characters of {MAX_MEMBER + 1}"]
    assert made.members["log.txt"].endswith("last\n")
    assert "first" not in made.members["log.txt"]
