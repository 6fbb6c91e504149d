"""pushes.py: what is pushed is decoded with the same care as exchanges, and is in hand while it is."""

import logging

import pytest

from exporter.analysis.pushes import EXPECTED, InHand, Pushes
from exporter.decode import pushed
from exporter.records.observation import Undecodable


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


def test_a_decoder_that_fails_costs_its_body(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it raises is one reason, told in the log once; a refusal of its own and the end of memory go on."""
    raised: list[BaseException] = [ZeroDivisionError(), KeyError(), Undecodable("not_json"), MemoryError()]

    def decode(body: bytes, lines: bool, now: float) -> list[pushed.Record | str]:
        raise raised.pop(0)

    monkeypatch.setattr(pushed, "decode", decode)
    pushes = Pushes()
    with caplog.at_level(logging.ERROR):
        for reason in ("decoder_failed", "decoder_failed", "not_json"):
            with pytest.raises(Undecodable, match=reason):
                pushes.understand(b"", False, 0.0)
            assert EXPECTED[reason]
    assert len(caplog.records) == 1
    with pytest.raises(MemoryError):
        pushes.understand(b"", False, 0.0)
