"""Facts about the machine, and what is missing."""

import sys

import pytest

from bench import machine
from bench.errors import SetupError
from bench.peer import Program

ABSENT = Program(
    "no-such-program-anywhere", ("no-such-program-anywhere",), "apt-get install nothing", debian=True
)
HERE = Program(sys.executable, (sys.executable, "--version"), "make install")


def test_cores() -> None:
    """The first two allowed cores; one serves both where there is no second."""
    assert machine.choose_cores({7, 3, 5}) == machine.Cores(proxy=3, load=5)
    assert not machine.choose_cores({4}).apart
    with pytest.raises(ValueError, match="no core"):
        machine.choose_cores([])


def test_cpu_model() -> None:
    """The first model name, or unknown where the kernel tells none."""
    assert machine.cpu_model("processor\t: 0\nmodel name\t: Fast CPU: 2\n") == "Fast CPU: 2"
    assert machine.cpu_model("processor\t: 0\n") == "unknown"


def test_what_is_missing_is_named_with_the_way_to_get_it() -> None:
    """One message names each missing program once, and its installation."""
    with pytest.raises(SetupError, match=r"no-such-program-anywhere: apt-get install nothing\n--install"):
        machine.require([HERE, ABSENT, ABSENT])
    machine.require([HERE])


def test_version_of_a_program() -> None:
    """The first line that it prints; a program that cannot run is unknown, not an error."""
    assert machine.first_line(HERE.version).startswith("Python 3.")
    assert machine.first_line(ABSENT.version).startswith("unknown")


def test_facts_are_printable() -> None:
    """Every fact has a value."""
    assert all(machine.facts(machine.Cores(0, 1)).values())
