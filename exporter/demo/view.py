"""The terminal view: a Frame as text, redrawn in place on a terminal, one line now and then elsewhere.

It computes nothing and waits for nothing. Invariant: no line is wider than the terminal, and the cursor is
given back however the demo ends.
"""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from exporter.demo.frame import Drift, Expected, Frame

_BAR = "█"
_BAR_WIDTH = 32
_HOME, _LINE_END, _BELOW, _CLEAR = "\x1b[H", "\x1b[K", "\x1b[J", "\x1b[2J"
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
_BOLD, _RED, _RESET = "\x1b[1m", "\x1b[31m", "\x1b[0m"
# A frame can only be redrawn in place if it fits; this many lines hold the rest of it.
_OTHER_LINES = 16


@dataclass(frozen=True, slots=True)
class Caption:
    """What the scrapes cannot tell: where things are, and which part of the traffic is on."""

    phase: str
    month: str
    elapsed: float
    duration: float | None
    addresses: Mapping[str, str]

    @property
    def title(self) -> str:
        """Phase, month of the rows and time, as a few words."""
        rows = f"rows of {self.month}" if self.month else "rows held out of the training months"
        of = f" of {self.duration:.0f}" if self.duration is not None else ""
        return f"{self.phase}: {rows}, {self.elapsed:.0f}{of} s"


def full(frame: Frame, caption: Caption, width: int, height: int) -> list[str]:
    """The whole frame, each line at most `width` characters long; drift is cut to what `height` leaves."""
    lines = [f"modeltap demo   {caption.title}", ""]
    lines += [f"  {name:<9} {address}" for name, address in caption.addresses.items()]
    lines += [
        "",
        f"  rate {_number(frame.rate, '{:.1f}/s')}"
        f"   p50 {_milliseconds(frame.p50)}   p99 {_milliseconds(frame.p99)}"
        f"   in flight {_number(frame.in_flight, '{:.0f}')}   queue {_number(frame.queue, '{:.0f}')}",
        f"  requests {_number(frame.requests, '{:.0f}')}   errors {counts(frame.errors)}",
        "",
        "  predictions, last seconds",
        *(_histogram(frame.histogram) or ["    none seen"]),
        "",
        *drift_lines(frame.drift)[: max(2, height - _OTHER_LINES - len(frame.histogram))],
    ]
    return [line[:width] for line in lines[:height]]


def plain(frame: Frame, caption: Caption) -> str:
    """The frame in one line."""
    top = "  ".join(f"{row.column} {row.psi:.2f}{'!' if row.drifting else ''}" for row in frame.drift[:3])
    return (
        f"[{caption.title}] rate {_number(frame.rate, '{:.1f}/s')}  p50 {_milliseconds(frame.p50)}"
        f"  p99 {_milliseconds(frame.p99)}  in flight {_number(frame.in_flight, '{:.0f}')}"
        f"  queue {_number(frame.queue, '{:.0f}')}  errors {counts(frame.errors)}  psi {top or '-'}"
    )


def drift_lines(rows: Sequence[Drift]) -> list[str]:
    """A table of PSI by column, its floor and critical value, and a mark where it exceeds 0.1 and chance."""
    if not rows:
        return ["  drift: not known yet"]
    head = f"  {'drift, window ' + rows[0].window:<28} {'PSI':>7} {'floor':>7} {'99.9 %':>7}"
    return [head, *(_drift_line(row) for row in rows)]


def expected_lines(found: Expected | None) -> list[str]:
    """What scores alone say of the AUC, if they do."""
    if found is None:
        return []
    return [
        f"  AUC to expect of window {found.window}: {found.area:.3f} ({found.low:.3f} to {found.high:.3f})"
    ]


def counts(values: Mapping[str, float]) -> str:
    """Names with their counts, the largest first; "none" if empty."""
    ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count:.0f}" for name, count in ordered) or "none"


class Screen:
    """Writes frames to `out`: in place if `live`, else as lines. `close` is safe twice."""

    def __init__(self, out: TextIO, live: bool) -> None:
        self._out = out
        self._drawn = False
        self.live = live

    def show(self, frame: Frame, caption: Caption) -> None:
        """Draw one frame."""
        if not self.live:
            self._write(plain(frame, caption) + "\n")
            return
        width, height = shutil.get_terminal_size()
        lines = [
            _colour(line, first=index == 0)
            for index, line in enumerate(full(frame, caption, width, height - 1))
        ]
        start = _HOME if self._drawn else _HIDE + _CLEAR + _HOME
        self._drawn = True
        self._write(start + "".join(f"{line}{_LINE_END}\n" for line in lines) + _BELOW)

    def close(self) -> None:
        """Show the cursor again."""
        if self._drawn:
            self._write(_SHOW)
            self._drawn = False

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def _histogram(histogram: Sequence[tuple[float, float, float]]) -> list[str]:
    most = max((count for _, _, count in histogram), default=0.0)
    return [
        f"    {_edge(lower):>7} to {_edge(upper):<7} "
        f"{_BAR * math.ceil(_BAR_WIDTH * count / most)} {count:.0f}"
        for lower, upper, count in histogram
    ]


def _drift_line(row: Drift) -> str:
    kind = "output" if row.is_output else "feature"
    floor, limit = _number(row.floor, "{:.3f}"), _number(row.limit, "{:.3f}")
    mark = "  drift" if row.drifting else ""
    return f"    {kind:<8} {row.column:<17} {row.psi:>7.3f} {floor:>7} {limit:>7}{mark}"


def _colour(line: str, first: bool) -> str:
    if first:
        return f"{_BOLD}{line}{_RESET}"
    return f"{_RED}{line}{_RESET}" if line.endswith("  drift") else line


def _edge(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else ("-inf" if value < 0 else "+inf")


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1000 * seconds:.1f} ms"
