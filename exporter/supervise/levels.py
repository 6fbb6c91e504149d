"""A line of a log -> its level: Python's logging, JSON, glog and klog, TensorFlow, uvicorn, loguru, log4j, logfmt.

Pure, and of the line's beginning only. A word like ERROR in the middle of a sentence is no level: it has to stand where
one of these formats puts it. What tells none is OTHER.
"""

import re
from typing import Final

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
OTHER: Final = "<other>"
HEAD_BYTES: Final = 512
_WORDS: Final = {
    **dict.fromkeys(("trace", "debug", "dbg", "finest", "finer", "fine", "verbose"), "debug"),
    **dict.fromkeys(("info", "information", "notice", "success", "default", "config"), "info"),
    **dict.fromkeys(("warn", "warning"), "warning"),
    **dict.fromkeys(("error", "err", "severe"), "error"),
    **dict.fromkeys(
        ("critical", "fatal", "alert", "emerg", "emergency", "panic", "dpanic", "crit"), "critical"
    ),
}
_LETTERS: Final = {"D": "debug", "I": "info", "W": "warning", "E": "error", "C": "critical", "F": "critical"}
_COLOURS = re.compile(rb"\x1b\[[0-9;]*m")
_WORD = rb"(TRACE|DEBUG|INFO|NOTICE|SUCCESS|WARN|WARNING|ERROR|SEVERE|CRITICAL|FATAL)(?![A-Za-z0-9_.])"
_JSON = re.compile(
    rb'(?<!\\)"(?:log\.)?(?:level|levelname|level_name|severity|severity_text|severityText|lvl)"'
    rb' *: *"?([A-Za-z]+|\d+)'
)
# I1127 04:16:23, and with the year in newer ones: I20261127.
_GLOG = re.compile(rb"([DIWECF])\d{4}(?:\d{4})? \d\d:\d\d:\d\d")
_TENSORFLOW = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?: ([DIWEF]) ")
# "WARNING:root:", "INFO:     Started", "[INFO] ", "(APIServer pid=7) INFO 11-27", "<3>" is not among them.
_FIRST = re.compile(rb"(?:\([^)]{1,60}\) )?[\[<(]?" + _WORD)
# Behind a time: at most a few names or numbers, as "[123] [INFO]", "| INFO ", "name - WARNING - ".
_TIMED = re.compile(rb"[\[(]?\d{2,4}[-/:.T]\d\d[-/:.]\d{2}.{0,90}?(?<![A-Za-z0-9_.\"'=/])" + _WORD)
_LOGFMT = re.compile(rb"(?:^|\s)(?:level|lvl|severity)=\"?([A-Za-z]+)")


def level(line: bytes) -> str:
    """One of LEVELS, or OTHER."""
    head = line[:HEAD_BYTES]
    if b"\x1b" in head:
        head = _COLOURS.sub(b"", head)
    head = head.lstrip()
    if head[:1] == b"{":
        found = _JSON.search(head)
        return _named(found[1]) if found else OTHER
    if letter := (_GLOG.match(head) or _TENSORFLOW.match(head)):
        return _LETTERS[letter[1].decode()]
    if word := (_FIRST.match(head) or _TIMED.match(head) or _LOGFMT.search(head)):
        return _named(word[1])
    return OTHER


def _named(word: bytes) -> str:
    if word.isdigit():
        return _numbered(int(word))
    return _WORDS.get(word.decode().lower(), OTHER)


def _numbered(number: int) -> str:
    """Those of pino and bunyan: 20 is debug, 60 fatal. Python has names in its JSON, hardly ever numbers."""
    if number < 10 or number > 60:
        return OTHER
    if number < 20:
        return "debug"
    return ("debug", "info", "warning", "error", "critical")[number // 10 - 2]
