"""The built image, by hand: `make image-check`, after `make image`, with the same BASE if one was named.

It runs as any user on a root that cannot be written, holds no build tools, says what it is made of, and comes out the
same when it is built again. Needs podman as root.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from image.build import BILL, Wanted, build, origin, version
from tests.e2e.processes import wait_until
from tests.environments.make import environment
from tests.pod.podman import ENVIRONMENT, Container, podman

IMAGE = os.environ.get("MODELTAP_IMAGE", f"localhost/modeltap:{version()}")
BASE = os.environ.get("BASE") or None
# What ours adds to the base, which is not ours.
MOST_BYTES = 150_000_000
TOOLS = ("gcc", "cc", "g++", "make", "ld", "pip", "pip3", "git")
# The image's own, one that OpenShift would draw (group 0), and one that is known nowhere.
USERS = ("", "1000650000:0", "12345:54321")
VALID = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
sys.exit(str(error) if error else 0)
"""
# Of all byte code: how many files, and how many are tied to the time of their source.
BYTE_CODE = """
import pathlib
found = [each.read_bytes()[4:8] for each in pathlib.Path("/opt/modeltap/lib").rglob("*.pyc")]
print(len(found), sum(flags != b"\\1\\0\\0\\0" for flags in found))
"""
pytestmark = pytest.mark.timeout(1800)


def inside(*command: str) -> str:
    """What a command prints in a new container of the image."""
    return podman("run", "--rm", "--network", "none", "--entrypoint", command[0], IMAGE, *command[1:])


def layers(image: str) -> list[str]:
    """The digests of its layers."""
    found: list[str] = json.loads(podman("image", "inspect", "--format", "{{json .RootFS.Layers}}", image))
    return found


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    """The bill of materials within."""
    found: dict[str, Any] = json.loads(inside("cat", BILL))
    return found


@contextmanager
def started(user: str) -> Iterator[Container]:
    """The sidecar as a restricted pod would run it, but for the network; gone after the block."""
    name = "modeltap-check-image"
    strict = ["--read-only", "--read-only-tmpfs=false", "--cap-drop", "ALL"]
    strict += ["--security-opt", "no-new-privileges", "--memory", "192m", *(["--user", user] if user else [])]
    upstream = ["--env", "MODELTAP_UPSTREAM=http://127.0.0.1:8080"]
    podman("run", "-d", "--name", name, "--network", "none", *strict, *upstream, IMAGE)
    try:
        yield Container(name)
    finally:
        podman("rm", "--force", "--time", "5", name)


def healthy(container: Container) -> bool:
    """Whether the image's own health check says so."""
    command = ["podman", "healthcheck", "run", container.name]
    return subprocess.run(command, capture_output=True, check=False, env=ENVIRONMENT).returncode == 0


@pytest.mark.parametrize("user", USERS)
def test_any_user(user: str) -> None:
    """It starts, is healthy by its own check, scrapes, writes no file, and ends with 0 when told to."""
    with started(user) as container:
        wait_until(lambda: healthy(container), "healthy", 60, progress=container.logs)
        code = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9464/metrics').read().decode())"

        def scraped() -> str:
            out, _ = container.python(code).communicate(timeout=60)
            return out if "modeltap_build_info" in out else ""

        wait_until(scraped, "metrics", 60, progress=container.logs)
        assert podman("diff", container.name) in ("", "C /etc", "A /run/secrets")
        assert container.stopping(30).wait(60) == 0
        assert container.state()["ExitCode"] == 0, container.logs()


def test_no_build_tools() -> None:
    """No compiler, no pip, and nothing of the environment that others may write."""
    look = f"for each in {' '.join(TOOLS)}; do command -v $each; done; true"
    assert inside("sh", "-c", look) == ""
    assert (
        inside("find", "/opt/modeltap", "(", "-perm", "/o+w", "-o", "-perm", "/6000", ")", "!", "-type", "l")
        == ""
    )
    assert inside("find", "/opt/modeltap", "-name", "tests", "-o", "-name", "pip") == ""


def test_compiled() -> None:
    """The data plane is the compiled one."""
    found = inside("python3", "-c", "import exporter.proxy.tap as tap; print(tap.__file__)")
    assert found.endswith(".so")


def test_byte_code() -> None:
    """Every module has some, and none depends on the time of its source."""
    found, timed = map(int, inside("python3", "-c", BYTE_CODE).split())
    assert found > 1000 and timed == 0


def test_labels() -> None:
    """Version and commit are those that it was built from."""
    told = json.loads(podman("image", "inspect", "--format", "{{json .Labels}}", IMAGE))
    assert told["org.opencontainers.image.version"] == version()
    assert len(told["org.opencontainers.image.revision"]) == 40
    print(f"  {IMAGE}: revision {told['org.opencontainers.image.revision'][:12]}")


def test_size() -> None:
    """What it adds to its base stays within a bound."""
    history = json.loads(podman("history", "--format", "json", IMAGE))
    ours = sum(
        each["size"]
        for each in history
        if "COPY" in each["CreatedBy"] and "/opt/modeltap" in each["CreatedBy"]
    )
    whole = sum(each["size"] for each in history)
    print(f"  {whole / 1e6:.0f} MB, of which {ours / 1e6:.0f} MB are above the base")
    assert 0 < ours <= MOST_BYTES


def test_the_bill_is_valid(bill: dict[str, Any]) -> None:
    """By the schema of CycloneDX 1.6, strictly."""
    python = environment("cyclonedx") / "bin" / "python"
    done = subprocess.run(
        [python, "-c", VALID], input=json.dumps(bill), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_bill_is_whole(bill: dict[str, Any]) -> None:
    """It lists what Python and dpkg find in the image, at those versions, and no more."""
    code = "import importlib.metadata as m; print(*(f'{d.name}@{d.version}' for d in m.distributions()), sep='\\n')"
    there = {
        line.lower().replace("_", "-").replace(".", "-") for line in inside("python3", "-c", code).split()
    }
    listed = [bill["metadata"]["component"], *bill["components"]]
    told = {
        f"{each['name']}@{each['version']}".replace(".", "-") for each in listed if "pypi" in each["purl"]
    }
    assert told == there
    dpkg = inside("dpkg-query", "-W", "-f", "${Package}@${Version}\\n").split()
    debian = [f"{each['name']}@{each['version']}" for each in listed if "pkg:deb" in each["purl"]]
    assert sorted(debian) == sorted(dpkg)
    print(f"  bill: {len(told)} Python packages, {len(debian)} of Debian")


def test_built_again() -> None:
    """From the same commit and base, with no layer kept, it is the same to the byte."""
    on = BASE.replace("-base:", "-build:") if BASE and BASE.startswith("localhost/modeltap-base:") else None
    wanted = Wanted("localhost/modeltap:again", BASE, on, offline=on is not None, fresh=True)
    assert origin().revision in podman("image", "inspect", "--format", "{{json .Labels}}", IMAGE), (
        "make image first"
    )
    build(wanted, "podman")
    assert layers(wanted.tag) == layers(IMAGE)
    print(f"  top layer {layers(IMAGE)[-1]}, twice")
