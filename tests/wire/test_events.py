"""Events are values: equal if they say the same, and they can be read in a failed comparison."""

import pytest

from exporter.wire.events import Data, Desync, End, Event, Head, Tunnel
from exporter.wire.head import RequestHead

RAW = b"GET / HTTP/1.1\r\n\r\n"


def made(stream: int = 0) -> list[Event]:
    """One of each."""
    return [
        Head(RequestHead(RAW), 1, 2, stream),
        Data(1, 2, stream),
        End(1, stream),
        Tunnel(1, stream),
        Desync("bare_lf", 1, stream),
    ]


@pytest.mark.parametrize("at", range(5))
def test_values(at: int) -> None:
    """Equal to another one that says the same, and to nothing else."""
    event = made()[at]
    assert event == made()[at]
    assert hash(event) == hash(made()[at])
    assert event != made(stream=1)[at]
    assert event.stream == 0
    assert all(event != other for number, other in enumerate(made()) if number != at)
    assert event != (1, 2, 0)


def test_texts() -> None:
    """What a failed comparison shows."""
    assert [repr(event) for event in made()] == [
        f"Head({RAW!r}, 1, 2, 0)",
        "Data(1, 2, 0)",
        "End(1, 0)",
        "Tunnel(1, 0)",
        "Desync('bare_lf', 1, 0)",
    ]


def test_offsets_are_kept() -> None:
    """By name, as they were given."""
    head, data, end, tunnel, desync = made()
    assert isinstance(head, Head)
    assert (head.head.raw, head.start, head.end) == (RAW, 1, 2)
    assert isinstance(data, Data)
    assert (data.start, data.end) == (1, 2)
    assert isinstance(end, End)
    assert isinstance(tunnel, Tunnel)
    assert isinstance(desync, Desync)
    assert (end.at, tunnel.at, desync.at, desync.reason) == (1, 1, 1, "bare_lf")
