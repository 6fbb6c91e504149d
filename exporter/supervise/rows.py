"""How many rows a job says that it did: on a descriptor of its own, or in the lines that it writes. Pure.

On the descriptor a line is a number of rows, or a JSON object with `rows` and `failed`; both are added up. In its
output a pattern tells them: its group `rows`, or the first, is added; a group `total` is the sum so far. What makes no
sense is counted, and changes nothing.
"""

import json
import re
from typing import Final

OUTCOMES: Final = ("ok", "failed")
LINE_BYTES: Final = 4096
_MOST: Final = 1 << 53  # what a float holds exactly


class Rows:
    """The sums; one thread writes."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(OUTCOMES, 0)
        self.invalid = 0

    def told(self, line: bytes) -> None:
        """A line of the descriptor."""
        if not line.strip():
            return
        try:
            found = json.loads(line)
        except ValueError:
            self.invalid += 1
            return
        fields = found if isinstance(found, dict) else {"rows": found}
        pairs = (("ok", fields.get("rows", 0)), ("failed", fields.get("failed", 0)))
        if not all(_whole(count) for _, count in pairs) or not fields.keys() & {"rows", "failed"}:
            self.invalid += 1
            return
        for outcome, count in pairs:
            self.counts[outcome] += count

    def matched(self, pattern: re.Pattern[bytes], line: bytes) -> None:
        """A line of the output."""
        found = pattern.search(line)
        if found is None:
            return
        name = next((name for name in ("total", "rows") if name in pattern.groupindex), 1)
        text = (found[name] or b"").replace(b",", b"").replace(b"_", b"")
        if not text.isdigit() or int(text) > _MOST:
            self.invalid += 1
        elif name == "total":
            self.counts["ok"] = max(self.counts["ok"], int(text))
        else:
            self.counts["ok"] += int(text)


def _whole(count: object) -> bool:
    return isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= _MOST


def pattern(text: str) -> re.Pattern[bytes]:
    """ValueError for what is no pattern with a group."""
    try:
        found = re.compile(text.encode())
    except re.error as error:
        raise ValueError(f"expected a regular expression with a group that is a number: {error}") from error
    if not found.groups:
        raise ValueError(
            "expected a regular expression with a group that is a number, such as 'scored (\\d+)'"
        )
    return found


class Cut:
    """Bytes in, whole lines out; what is longer than LINE_BYTES is cut there."""

    def __init__(self) -> None:
        self._head = b""

    def lines(self, data: bytes) -> list[bytes]:
        """Those that are complete by now. A carriage return ends a line too, as progress bars have it."""
        *whole, last = data.replace(b"\r", b"\n").split(b"\n")
        if whole:
            whole[0] = self._head + whole[0]
            self._head = last[:LINE_BYTES]
        else:
            self._head = (self._head + last)[:LINE_BYTES]
        return [line[:LINE_BYTES] for line in whole]

    def rest(self) -> bytes:
        """The last line, which has no end."""
        head, self._head = self._head, b""
        return head
