"""Bytes of the namespace's interfaces."""

from types import SimpleNamespace
from typing import Any

import pytest

from exporter.collect.contract import Unavailable
from exporter.collect.network import NetworkCollector


def io(received: int, sent: int) -> Any:
    return SimpleNamespace(bytes_recv=received, bytes_sent=sent)


def values(collector: NetworkCollector) -> dict[str, Any]:
    return {each.labels[0]: each.value for each in collector.collect(0.0)}


def test_loopback_is_left_out() -> None:
    """The sum covers all interfaces but loopback, counted since the host's start."""
    interfaces = {"lo": io(999, 999), "eth0": io(10, 1), "eth1": io(20, 2)}
    collector = NetworkCollector(lambda: interfaces, lambda: 1234.0)
    assert values(collector) == {"receive": 30, "transmit": 3}
    assert {each.created for each in collector.collect(0.0)} == {1234.0}


def test_removed_interface_keeps_counting() -> None:
    """An interface that is removed, or comes back from 0, does not make the sum go back."""
    interfaces = {"eth0": io(10, 1), "eth1": io(20, 2)}
    collector = NetworkCollector(lambda: interfaces)
    values(collector)
    del interfaces["eth1"]
    assert values(collector) == {"receive": 30, "transmit": 3}
    interfaces["eth1"] = io(5, 0)
    assert values(collector) == {"receive": 35, "transmit": 3}


def test_no_interfaces() -> None:
    """Where no interface can be seen, not even loopback, there is nothing to collect."""
    with pytest.raises(Unavailable):
        list(NetworkCollector(dict).collect(0.0))


def test_real_interfaces() -> None:
    """The real table is read."""
    assert set(values(NetworkCollector())) == {"receive", "transmit"}
