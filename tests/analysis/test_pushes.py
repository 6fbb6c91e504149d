"""pushes.py: what is pushed is decoded with the same care as exchanges, and is in hand while it is."""

import logging

import pytest

from exporter.analysis.engine import FAILED, Engine, Known
from exporter.analysis.pushes import EXPECTED, SWITCHED_OFF, InHand, Pushes
from exporter.decode import pushed
from exporter.records.observation import Undecodable
from tests.analysis.world import BOUNDS, NOW


def test_what_is_in_hand() -> None:
    """An exchange is, else what a thread does beside; the root is told when it changes and not otherwise."""
    told: list[tuple[str, str]] = []
    hand = InHand(lambda protocol, path: told.append((protocol, path)))
    hand.rest()
    hand.take("a", "/1")
    hand.take("a", "/1")
    with hand.beside("pushed", "/p"):
        hand.take("b", "/2")
        hand.rest()
    hand.rest()
    assert told == [("a", "/1"), ("pushed", "/p"), ("b", "/2"), ("pushed", "/p"), ("", "")]


async def test_a_decoder_that_fails_costs_its_body(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it raises is one reason, counted, and told in the log once; its refusals and memory's end go on."""
    raised: list[BaseException] = [ZeroDivisionError(), KeyError(), Undecodable("not_json"), MemoryError()]
    held: list[tuple[str, str]] = []

    def decode(body: bytes, lines: bool, now: float) -> list[pushed.Record | str]:
        held.append(told[-1])
        raise raised.pop(0)

    monkeypatch.setattr(pushed, "decode", decode)
    told: list[tuple[str, str]] = []
    made = Engine((), Known("", "", (300.0,)), BOUNDS, NOW)
    pushes = Pushes(made, InHand(lambda protocol, path: told.append((protocol, path))), "/p")
    with caplog.at_level(logging.ERROR):
        for reason in (FAILED, FAILED, "not_json"):
            with pytest.raises(Undecodable, match=reason):
                await pushes.take(b"", False)
            assert EXPECTED[reason]
    assert len(caplog.records) == 1
    with pytest.raises(MemoryError):
        await pushes.take(b"", False)
    assert held == [(pushed.NAME, "/p")] * 4 and told[-1] == ("", "")
    assert made.snapshot().outcomes["unknown", pushed.NAME, FAILED] == 2


async def test_what_killed_the_analysis_is_refused_for_a_while() -> None:
    """Switched off, nothing of a body is read; afterwards it is again."""
    made = Engine((), Known("", "", (300.0,)), BOUNDS, NOW)
    pushes = Pushes(made, InHand(lambda protocol, path: None), "/p")
    body = b'{"features": {"age": [31]}}'
    made.speakers.switch_off([pushed.NAME])
    with pytest.raises(Undecodable, match=SWITCHED_OFF):
        await pushes.take(body, False)
    made.speakers.switch_off([])
    assert await pushes.take(body, False) == [1]
