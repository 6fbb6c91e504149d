"""The view's text: within the terminal, complete, and quiet about what is not known."""

import io

from exporter.demo.frame import frame
from exporter.demo.scrape import parse
from exporter.demo.view import Caption, Screen, counts, full, plain
from tests.demo.test_scrape import EXPOSITION

FRAME = frame(parse(EXPOSITION, at=12.0), parse("", at=2.0), "probability")
NOTHING = frame(parse("", at=1.0), parse("", at=0.0), "probability")
CAPTION = Caption("drifting", "2021-08", 31.0, 60.0, {"metrics": "http://127.0.0.1:9464/metrics"})


def test_a_full_frame_shows_all_that_is_known() -> None:
    """Phase, address, rate, quantiles, errors, queue, histogram and drift are all in the frame."""
    text = "\n".join(full(FRAME, CAPTION, width=100, height=40))
    for part in (
        "drifting: rows of 2021-08, 31 of 60 s",
        "9464/metrics",
        "rate 10.0/s",
        "p50 6.0 ms",
        "queue 2",
    ):
        assert part in text
    assert "errors 5xx 5, reset 2" in text
    assert [line.split()[1] for line in text.splitlines() if line.endswith("  drift")] == ["MedInc"]
    assert "████████ 30" in text


def test_a_frame_fits_the_terminal() -> None:
    """No line is wider than the terminal and there are no more lines than it has."""
    lines = full(FRAME, CAPTION, width=40, height=12)
    assert len(lines) <= 12
    assert max(map(len, lines)) <= 40


def test_nothing_known_is_shown_as_such() -> None:
    """A frame without any figure is still drawn, in both forms."""
    assert "drift: not known yet" in "\n".join(full(NOTHING, CAPTION, 100, 40))
    assert "rate -" in plain(NOTHING, CAPTION)
    assert counts({}) == "none"


def test_a_plain_screen_writes_one_line_per_frame_and_no_control_codes() -> None:
    """Where the output is no terminal each frame is one line of plain text."""
    out = io.StringIO()
    screen = Screen(out, live=False)
    screen.show(FRAME, CAPTION)
    screen.show(NOTHING, CAPTION)
    screen.close()
    assert out.getvalue().count("\n") == 2
    assert "\x1b" not in out.getvalue()
    assert "MedInc 0.30!" in out.getvalue()


def test_a_live_screen_gives_the_cursor_back_once() -> None:
    """The cursor is hidden by the first frame and shown again by `close`, which is safe twice."""
    out = io.StringIO()
    screen = Screen(out, live=True)
    screen.show(FRAME, CAPTION)
    screen.close()
    screen.close()
    assert (out.getvalue().count("\x1b[?25l"), out.getvalue().count("\x1b[?25h")) == (1, 1)
