"""The Dockerfile and its context, read as text: no engine is needed to know these."""

from __future__ import annotations

import fnmatch
import json
import re
import socketserver
import subprocess
import sys
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
# Wheels of a build without a network; a pattern, so that its absence is no error.
OPTIONAL = "wheelhous[e]"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its word, the rest of it on one line, and the number of its stage."""

    word: str
    rest: str
    stage: int


def parse(text: str) -> list[Instruction]:
    """Read the instructions; lines are joined at backslashes, comments dropped, stage 0 is before FROM."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found: list[Instruction] = []
    stage = 0
    for line in re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word:
            stage += word == "FROM"
            found.append(Instruction(word, rest.strip(), stage))
    return found


@pytest.fixture
def instructions() -> list[Instruction]:
    """The instructions of our Dockerfile."""
    return parse((REPOSITORY / "Dockerfile").read_text())


def last(instructions: list[Instruction], word: str) -> str:
    """The one instruction of that word in the final stage."""
    final = instructions[-1].stage
    (found,) = [each.rest for each in instructions if (each.word, each.stage) == (word, final)]
    return found


def test_parser_joins_lines() -> None:
    """The reader of this test takes continuation lines and stages as an engine does."""
    found = parse("ARG A=1\n# no\nFROM ${A} AS b\nRUN x\\\n    && y\nFROM b\n")
    assert found[2] == Instruction("RUN", "x && y", 1)
    assert [each.stage for each in found] == [0, 1, 1, 2]


def test_stages(instructions: list[Instruction]) -> None:
    """One base is an argument with a pinned default; what is built on is the same unless named."""
    assert instructions[0] == Instruction("ARG", "BASE=python:3.12-slim", 0)
    assert instructions[1] == Instruction("ARG", "BUILD_BASE=${BASE}", 0)
    bases = [each.rest.split(" AS ") for each in instructions if each.word == "FROM"]
    assert bases == [["${BUILD_BASE}", "build"], ["${BASE}", "bill"], ["${BASE}", "final"]]


def test_no_moving_tag(instructions: list[Instruction]) -> None:
    """No image is named without a tag or as latest."""
    for each in instructions:
        if each.word == "ARG" and each.rest.startswith("BASE="):
            _, _, tag = each.rest.partition(":")
            assert tag and tag != "latest"
        assert ":latest" not in each.rest


def test_final_stage_has_no_build_tools(instructions: list[Instruction]) -> None:
    """The final stage runs nothing and takes only the virtualenv, which its bill of materials is in."""
    final = [each for each in instructions if each.stage == instructions[-1].stage]
    assert "RUN" not in [each.word for each in final] and "ADD" not in [each.word for each in final]
    assert last(instructions, "COPY") == "--from=bill /opt/modeltap /opt/modeltap"


def test_user_is_numeric_and_not_root(instructions: list[Instruction]) -> None:
    """The user is given by number, so that a kubelet can verify that it is not root."""
    assert last(instructions, "USER") == "65532:65532"


def test_entry(instructions: list[Instruction]) -> None:
    """The image is the command; it runs the sidecar unless told otherwise, and gets signals itself."""
    assert json.loads(last(instructions, "ENTRYPOINT")) == ["modeltap"]
    assert json.loads(last(instructions, "CMD")) == ["run"]
    assert set(last(instructions, "EXPOSE").split()) == {"9000", "9464", "9465"}


def test_labels(instructions: list[Instruction]) -> None:
    """The standard labels are there."""
    label = last(instructions, "LABEL")
    for name in ("title", "description", "licenses", "version", "revision", "created", "source"):
        assert f"org.opencontainers.image.{name}=" in label


def test_copied_paths_exist(instructions: list[Instruction]) -> None:
    """Every path that is copied is in the repository and is not kept out of the context."""
    rules = (REPOSITORY / ".dockerignore").read_text().splitlines()
    copies = [each.rest.split()[:-1] for each in instructions if each.word == "COPY"]
    sources = {path for copy in copies if not copy[0].startswith("--from") for path in copy} - {OPTIONAL}
    assert sources
    for path in sources:
        assert (REPOSITORY / path).exists(), path
        assert f"!{path}" in rules, f"{path} is not let into the context"


def test_only_what_is_pinned_gets_in(instructions: list[Instruction]) -> None:
    """Whatever pip installs, but for our own wheel, is pinned by hash; our own comes from no index."""
    script = "\n".join(each.rest for each in instructions if each.word == "RUN")
    installs = re.findall(r"pip (?:--python \S+ )?(?:install|wheel|download) [^&;|]*", script)
    assert len(installs) == 4
    for each in installs:
        assert "--require-hashes" in each or "--no-index" in each, each


def test_optional_wheels(instructions: list[Instruction]) -> None:
    """The wheelhouse is copied with a file that is there, as engines refuse a pattern that matches nothing."""
    (copy,) = [each.rest.split() for each in instructions if OPTIONAL in each.rest]
    assert copy == ["LICENSE", OPTIONAL, "/wheelhouse/"]
    assert "!wheelhouse" in (REPOSITORY / ".dockerignore").read_text().splitlines()


def test_context_is_closed() -> None:
    """The context lets nothing in that is not named: no secret and no virtualenv can get into a build."""
    rules = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line]
    rules = [line for line in rules if not line.startswith("#")]
    assert rules[0] == "*"
    let_in = [line[1:] for line in rules if line.startswith("!")]
    for kept_out in (".git", ".venv", ".env", "tests", "helm"):
        assert not [pattern for pattern in let_in if fnmatch.fnmatch(kept_out, pattern)]


@pytest.mark.parametrize(("status", "expected"), [(200, 0), (503, 1)])
def test_healthcheck(instructions: list[Instruction], status: int, expected: int) -> None:
    """The health check, run as it stands, follows what /livez answers, on the port that is set."""
    asked: list[str] = []

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent."""

    command = json.loads(last(instructions, "HEALTHCHECK").partition(" CMD ")[2])
    with socketserver.TCPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        # A proxy that refuses: the check must not go through it.
        environment = {
            "MODELTAP_HEALTH": f"[::]:{server.server_address[1]}",
            "http_proxy": "http://127.0.0.1:9",
        }
        done = subprocess.run([sys.executable, *command[1:]], env=environment, timeout=20, check=False)
        server.shutdown()
    assert (done.returncode, asked) == (expected, ["/livez"])


def test_healthcheck_without_a_sidecar(instructions: list[Instruction]) -> None:
    """Nobody on the port is a failure."""
    command = json.loads(last(instructions, "HEALTHCHECK").partition(" CMD ")[2])
    with socketserver.TCPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        port = server.server_address[1]
    environment = {"MODELTAP_HEALTH": f"127.0.0.1:{port}"}
    done = subprocess.run(
        [sys.executable, *command[1:]], env=environment, timeout=20, check=False, capture_output=True
    )
    assert done.returncode == 1
