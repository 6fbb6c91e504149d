"""The locks hold what the project asks for, at the versions that the tests ran with, each pinned by hash."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from image.lock import BUILD_ALSO, LOCKS, NOT_SHIPPED, REPOSITORY, TESTED, blocks

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
ASKED = {
    "base": PROJECT["project"]["dependencies"],
    "build": [*PROJECT["build-system"]["requires"], *BUILD_ALSO],
    **{name: asked for name, asked in EXTRAS.items() if name not in NOT_SHIPPED},
}


def pinned(name: str) -> dict[str, str]:
    """Version by name."""
    lines = [part.split(" ", 1)[0] for part in blocks((LOCKS / f"{name}.txt").read_text()).values()]
    return {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines if "==" in line}


def test_a_lock_for_each() -> None:
    """The base, what it is built with, and each extra that an image can have: no more and no fewer."""
    assert {path.stem for path in LOCKS.iterdir()} == set(ASKED)


@pytest.mark.parametrize("name", sorted(ASKED))
def test_what_is_asked_for(name: str) -> None:
    """Each requirement is in its lock or in the base's, at a version that it allows."""
    found = pinned("base") | pinned(name)
    for text in ASKED[name]:
        asked = Requirement(text)
        assert found[canonicalize_name(asked.name)] in asked.specifier, text


@pytest.mark.parametrize("name", sorted(ASKED))
def test_as_tested(name: str) -> None:
    """No package is at another version than the tests ran with."""
    tested = dict(line.split("==") for line in TESTED.read_text().split() if "==" in line)
    tested = {canonicalize_name(each): version for each, version in tested.items()}
    for each, version in pinned(name).items():
        assert version == tested.get(each, version), each


@pytest.mark.parametrize("name", sorted(ASKED))
def test_hashes(name: str) -> None:
    """Every package has at least one hash, and nothing but packages is in it."""
    text = (LOCKS / f"{name}.txt").read_text()
    for part in blocks(re.sub(r"^#.*\n", "", text)).values():
        assert "--hash=sha256:" in part and re.match(r"[A-Za-z0-9._-]+==\S+ ", part), part
