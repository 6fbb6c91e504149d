"""The bill of materials: from made installations and from this one."""

import json
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from image import sbom

STATUS = """Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u14

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""
RELEASE = 'NAME="Debian"\nID=debian\nVERSION_ID="12"\n'


def install(site: Path, name: str, *lines: str) -> None:
    """A distribution that has only metadata."""
    folder = site / f"{name.replace('-', '_')}-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(
        "\n".join(["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *lines])
    )


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """modeltap, two that it needs, one of them by an extra, and one that it would need by another."""
    install(tmp_path, "modeltap", "Requires-Dist: aiohttp>=3", "Requires-Dist: redis; extra == 'redis'")
    install(tmp_path, "aiohttp", "License-Expression: Apache-2.0 AND MIT", "Requires-Dist: Odd.Name")
    install(tmp_path, "redis", "License: MIT", "Requires-Dist: aiohttp; extra == 'fast'")
    install(
        tmp_path, "odd-name", "Classifier: License :: OSI Approved :: BSD License", "License: " + "long " * 40
    )
    return tmp_path


def made(site: Path) -> dict[str, Any]:
    """The document of that site on a Debian of two packages, one of them removed."""
    return sbom.bill(site, STATUS, RELEASE, 1_700_000_000)


def test_what_is_listed(site: Path) -> None:
    """Packages, the interpreter and what dpkg has installed; the application is the subject, no part of the list."""
    document = made(site)
    purls = [each["purl"].partition("@")[0] for each in document["components"]]
    python = ["pkg:pypi/aiohttp", "pkg:pypi/odd-name", "pkg:pypi/redis", "pkg:generic/python"]
    assert purls == [*python, "pkg:deb/debian/libc6"]
    assert document["metadata"]["component"]["purl"] == "pkg:pypi/modeltap@1.0"
    assert document["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"


def test_a_debian_package(site: Path) -> None:
    """Its purl has the version escaped, and says architecture and release."""
    (found,) = [each for each in made(site)["components"] if each["name"] == "libc6"]
    assert found["purl"] == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64&distro=debian-12"


def test_licences(site: Path) -> None:
    """An expression first, then a short name, then classifiers; a licence's whole text is no name."""
    told = {each["name"]: each.get("licenses") for each in made(site)["components"]}
    assert told["aiohttp"] == [{"expression": "Apache-2.0 AND MIT"}]
    assert told["redis"] == [{"license": {"name": "MIT"}}]
    assert told["odd-name"] == [{"license": {"name": "BSD License"}}]


def test_who_needs_whom(site: Path) -> None:
    """Names are compared in one form; other packages' extras are nobody's need."""
    needs = {each["ref"]: each["dependsOn"] for each in made(site)["dependencies"]}
    assert needs["pkg:pypi/modeltap@1.0"] == ["pkg:pypi/aiohttp@1.0", "pkg:pypi/redis@1.0"]
    assert needs["pkg:pypi/aiohttp@1.0"] == ["pkg:pypi/odd-name@1.0"]
    assert needs["pkg:pypi/redis@1.0"] == []


def test_the_same_installation_gives_the_same_bytes(site: Path) -> None:
    """Its serial number is a digest: the same again, another with one more package."""
    first = made(site)
    assert json.dumps(first) == json.dumps(made(site))
    install(site, "one-more")
    assert first["serialNumber"] != made(site)["serialNumber"]


def test_references_are_unique_and_known() -> None:
    """Of what is installed here: no reference twice, and every edge ends at a component."""
    here = Path(str(distribution("numpy").locate_file("")))
    document = sbom.bill(here, "", "", 0)
    refs = [each["bom-ref"] for each in [*document["components"], document["metadata"]["component"]]]
    assert len(refs) == len(set(refs)) and len(refs) > 20
    for each in document["dependencies"]:
        assert {each["ref"], *each["dependsOn"]} <= set(refs)


def test_another_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that does not hold modeltap is an error that names it; so is a call without a folder."""
    assert sbom.main([str(tmp_path)]) == 2
    assert f"{tmp_path} holds no modeltap" in capsys.readouterr().err
    assert sbom.main([]) == 2
