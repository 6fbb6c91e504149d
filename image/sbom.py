"""The bill of materials of an image, as CycloneDX 1.6: `python sbom.py SITE_PACKAGES > sbom.cdx.json`.

From what is installed, not from what was asked for: the metadata of the packages, dpkg's status of the system below
them, and the interpreter that runs this. Standard library alone: it runs in the image's own base. The same
installation gives the same bytes: its time is SOURCE_DATE_EPOCH, its serial number a digest of the rest.
"""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = "modeltap"
STATUS = Path("/var/lib/dpkg/status")
RELEASE = Path("/etc/os-release")
# Any will do; it must stay the same.
NAMESPACE = uuid.UUID("6d0de1c0-7a9e-5c0b-9f0e-3b1d2f1f5a10")
Component = dict[str, Any]


def key(name: str) -> str:
    """The form of a package's name that indexes compare."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licences(one: Distribution) -> list[dict[str, Any]]:
    """An SPDX expression where it tells one, else the first line of what it writes, else its classifiers."""
    if expressions := one.metadata.get_all("License-Expression"):
        return [{"expression": expressions[0]}]
    written = "\n".join(one.metadata.get_all("License") or ()).strip().splitlines()
    classified = [
        each.split(" :: ")[-1] for each in one.metadata.get_all("Classifier") or () if "License" in each
    ]
    names = written[:1] if written and len(written[0]) < 64 else classified
    return [{"license": {"name": name}} for name in sorted(set(names))]


def package(one: Distribution) -> Component:
    """A Python package."""
    name, version = key(one.metadata["Name"]), one.version
    purl = f"pkg:pypi/{name}@{quote(version, safe='')}"
    found: Component = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if told := licences(one):
        found["licenses"] = told
    return found


def edges(packages: dict[str, Distribution]) -> Iterator[dict[str, Any]]:
    """Who needs whom, among those installed; the extras that count are the root's own."""
    refs = {name: package(one)["bom-ref"] for name, one in packages.items()}
    for name, one in sorted(packages.items()):
        asked = [text for text in one.requires or () if name == ROOT or "extra ==" not in text]
        names = {key(re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0]) for text in asked}
        yield {"ref": refs[name], "dependsOn": sorted(refs[each] for each in names & refs.keys())}


def system(status: str, release: str) -> Iterator[Component]:
    """Debian's packages, from dpkg's own status and the name of the release."""
    told = dict(re.findall(r'^(ID|VERSION_ID)="?([^"\n]+)"?$', release, re.MULTILINE))
    distribution = told.get("ID", "debian")
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Architecture|Status): (.+)$", paragraph, re.MULTILINE))
        if not fields.get("Status", "").endswith(" installed"):
            continue
        name, version = fields["Package"], fields["Version"]
        where = f"arch={fields['Architecture']}&distro={distribution}-{told.get('VERSION_ID', '')}"
        purl = f"pkg:deb/{distribution}/{quote(name)}@{quote(version, safe='')}?{where}"
        yield {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def interpreter() -> Component:
    """The Python that runs this."""
    version = platform.python_version()
    purl = f"pkg:generic/python@{version}"
    return {"type": "platform", "bom-ref": purl, "name": "python", "version": version, "purl": purl}


def bill(site: Path, system_status: str, release: str, made: int) -> dict[str, Any]:
    """The whole document; raises LookupError if the site does not hold modeltap."""
    packages = {key(one.metadata["Name"]): one for one in distributions(path=[str(site)])}
    if ROOT not in packages:
        raise LookupError(f"{site} holds no {ROOT}; it must be the site-packages of its virtualenv")
    root = package(packages[ROOT]) | {"type": "application"}
    libraries = [package(one) for name, one in sorted(packages.items()) if name != ROOT]
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(made, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": root,
        },
        "components": [*libraries, interpreter(), *system(system_status, release)],
        "dependencies": list(edges(packages)),
    }
    digest = uuid.uuid5(NAMESPACE, json.dumps(document, sort_keys=True))
    return document | {"serialNumber": f"urn:uuid:{digest}"}


def main(arguments: list[str]) -> int:
    """Print it; exit status 2 says what was wrong with the call."""
    if len(arguments) != 1:
        print("usage: sbom.py SITE_PACKAGES", file=sys.stderr)
        return 2
    texts = [path.read_text() if path.exists() else "" for path in (STATUS, RELEASE)]
    try:
        document = bill(Path(arguments[0]), texts[0], texts[1], int(os.environ.get("SOURCE_DATE_EPOCH", "0")))
    except LookupError as error:
        print(f"sbom.py: {error}", file=sys.stderr)
        return 2
    json.dump(document, sys.stdout, indent=1, sort_keys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
