"""Readers of single settings: text or a YAML value in, the value out, or ValueError("expected …").

They know nothing of the table that names them, and open and resolve nothing.
"""

import itertools
import json
import re
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any
from urllib.parse import SplitResult, urlsplit

from exporter.records import segment
from exporter.records.custom import MAX_CUSTOMS, Custom, CustomError, parse
from exporter.records.routes import SELECTABLE, custom_rule
from exporter.records.rule import MAX_RULES, Rule
from exporter.records.rule import parse as parse_rules
from exporter.records.segment import Segment
from exporter.supervise import signals

_TARGET = (
    "expected http://HOST[:PORT][/PATH], https://…, or the absolute path of a folder or of a .jsonl file"
)
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CREDENTIALS = ("authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key")
_UPSTREAM = "expected http://HOST[:PORT], https://HOST[:PORT], unix:/PATH or tcp://HOST:PORT"


def text(value: Any) -> str:
    """Text as it stands."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ValueError("expected text")
    return str(value)


def label(value: Any) -> str:
    """What may become a label value."""
    found = text(value)
    if len(found) > 128 or not found.isprintable():
        raise ValueError("expected at most 128 printable characters")
    return found


def labels(*words: str) -> Callable[[Any], tuple[str, ...]]:
    """Names, separated by commas, none of them twice; each one of the words, where there are any."""
    expected = f"expected some of {', '.join(words)}" if words else "expected different names"

    def parse(value: Any) -> tuple[str, ...]:
        items = value.split(",") if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise ValueError(expected)
        found = tuple([label(item).strip() for item in items])
        if "" in found or len(set(found)) < len(found) or (words and not set(found) <= set(words)):
            raise ValueError(f"{expected}, separated by commas, each once")
        return found

    return parse


def field_name(value: Any) -> str:
    """The name of a header field."""
    found = text(value)
    if found and re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}", found) is None:
        raise ValueError("expected the name of a header field")
    return found.lower()


def path(value: Any) -> str:
    """The path of a URL."""
    found = text(value)
    if found and (
        not found.startswith("/") or not found.isascii() or not found.isprintable() or " " in found
    ):
        raise ValueError("expected a path that begins with /, percent-encoded")
    return found


def upstream(value: Any) -> str:
    """A place that serves: http, https (TLS), unix (HTTP over a socket's path) or tcp (relayed without following)."""
    found = text(value)
    if found.startswith("unix:"):
        socket_path = found.removeprefix("unix:").removeprefix("//")
        return f"unix:{unix_path(socket_path)}"
    try:
        parts = urlsplit(found)
        port = parts.port
    except ValueError:
        raise ValueError(_UPSTREAM) from None
    if parts.scheme not in ("http", "https", "tcp") or not parts.hostname or port == 0 or "@" in parts.netloc:
        raise ValueError(_UPSTREAM)
    if parts.netloc.endswith(":") or (parts.scheme == "tcp" and port is None):
        raise ValueError(_UPSTREAM)
    _check_plain(parts)
    return f"{parts.scheme}://{parts.netloc}"


def _check_plain(parts: SplitResult) -> None:
    if not parts.netloc.isascii() or not parts.netloc.isprintable() or " " in parts.netloc:
        raise ValueError(f"{_UPSTREAM}, in ASCII")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"{_UPSTREAM}, without a path")


def access_target(value: Any) -> str:
    """Where the access log goes: standard output (a lone `-` is a list in YAML, hence the word), or a file."""
    found = text(value)
    if found in ("", "-", "stdout"):
        return "-" if found else ""
    if not found.startswith("/") or found.endswith("/") or not found.isprintable():
        raise ValueError("expected the absolute path of a file, or - (stdout) for standard output")
    return found


_METRICS = "expected off, /PATH, :PORT[/PATH], http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH]"


def metrics_place(value: Any) -> str:
    """Where the upstream's own metrics are: off, a path, a port with or without one, or a URL."""
    found = text(value)
    if found in ("", "off"):
        return found
    try:
        parts = urlsplit(found if "://" in found else f"http://host{found}")
        port = parts.port
    except ValueError:
        raise ValueError(_METRICS) from None
    if (
        not found.isascii()
        or not found.isprintable()
        or " " in found
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise ValueError(_METRICS)
    relative = (found[0] == "/" and found[:2] != "//") or (found[0] == ":" and port)
    absolute = "://" in found and parts.scheme in ("http", "https") and parts.hostname
    if not (relative or absolute) or port == 0 or parts.netloc.endswith(":"):
        raise ValueError(_METRICS)
    return found


def unix_path(found: str) -> str:
    """The path of a Unix socket: absolute, and short enough for the kernel."""
    if not found.startswith("/") or "\0" in found or len(found.encode()) > 107:
        raise ValueError("expected the absolute path of a socket, at most 107 bytes")
    return found


def listen(value: Any) -> str:
    """HOST:PORT or unix:/PATH."""
    found = text(value)
    if found.startswith("unix:"):
        return f"unix:{unix_path(found.removeprefix('unix:').removeprefix('//'))}"
    return address(found)


def forwards(value: Any) -> tuple[str, ...]:
    """Further listeners, each LISTEN=UPSTREAM."""
    found = []
    for item in texts(value):
        place, equals, target = item.partition("=")
        if not equals:
            raise ValueError("expected LISTEN=UPSTREAM, as in [::]:9001=tcp://127.0.0.1:8001")
        found.append(f"{listen(place)}={upstream(target)}")
    return tuple(found)


def protocols(value: Any) -> tuple[str, ...]:
    """Dialects of inference requests: each DIALECT or PATH=DIALECT."""
    found = texts(value)
    for item in found:
        place, equals, dialect = item.rpartition("=")
        if dialect not in SELECTABLE:
            raise ValueError(f"expected DIALECT or PATH=DIALECT, of {', '.join(SELECTABLE)}")
        if equals:
            custom_rule(place, dialect)
    return found


def sizes(*words: str) -> Callable[[Any], tuple[str, ...]]:
    """WORD=NUMBER of these words, from 0, each once; or a mapping."""
    expected = f"expected WORD=NUMBER, from 0, each once, of {', '.join(words)}"
    least = number(0, 1e9, float)

    def parse(value: Any) -> tuple[str, ...]:
        given = [f"{word}={size}" for word, size in value.items()] if isinstance(value, dict) else value
        found = texts(given)
        pairs = [item.partition("=") for item in found]
        names = [word for word, _, _ in pairs]
        try:
            for _, _, size in pairs:
                least(size)
        except ValueError:
            raise ValueError(expected) from None
        if len(set(names)) < len(names) or not set(names) <= set(words):
            raise ValueError(expected)
        return found

    return parse


def segments(value: Any) -> tuple[Segment, ...]:
    """Columns with their groups, separated by commas, or a list of them."""
    if isinstance(value, tuple) and all(isinstance(one, Segment) for one in value):
        return value
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise ValueError(segment.EXPECTED)
    return segment.parse_all([text(item) for item in items])


def customs(value: Any) -> tuple[Custom, ...]:
    """Protocols of the owner's own: a mapping, a list of them, or either of these as JSON. CustomError tells all."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError("expected a mapping or a list of mappings, as JSON") from None
    if isinstance(value, tuple) and all(isinstance(one, Custom) for one in value):
        return value
    listed = value if isinstance(value, list) else [value]
    if len(listed) > MAX_CUSTOMS or not all(isinstance(one, dict) for one in listed):
        raise ValueError(f"expected a mapping or a list of at most {MAX_CUSTOMS} mappings")
    found, problems = [], []
    for number, one in enumerate(listed):
        place = f"[{number}]: " if isinstance(value, list) else ": "
        try:
            found.append(parse({str(key): each for key, each in one.items()}))
        except CustomError as error:
            problems += [place + problem for problem in error.problems]
    if problems:
        raise CustomError(problems)
    return tuple(found)


def rules(value: Any) -> tuple[Rule, ...]:
    """Rules of data: a list of mappings, or that as JSON. RuleError tells all."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError("expected a list of mappings, as JSON") from None
    if isinstance(value, tuple) and all(isinstance(one, Rule) for one in value):
        return value
    if not isinstance(value, list) or len(value) > MAX_RULES:
        raise ValueError(f"expected a list of at most {MAX_RULES} mappings")
    return parse_rules(value)


def shed_status(value: Any) -> int:
    """The status code of an answer to what is shed."""
    if str(value) not in ("503", "429"):
        raise ValueError("expected 503 or 429")
    return int(value)


def flag(value: Any) -> bool:
    """true or false."""
    word = str(value).lower() if isinstance(value, bool | str) else ""
    if word not in ("true", "false"):
        raise ValueError("expected true or false")
    return word == "true"


def file(value: Any) -> str:
    """The name of a file; whether it is there is told when it is opened."""
    found = text(value)
    if "\0" in found:
        raise ValueError("expected the name of a file")
    return found


def split_address(address: str) -> tuple[str, int]:
    """HOST:PORT or [V6]:PORT or :PORT -> (host without brackets, port); ValueError if it is none of these."""
    host, colon, port = address.rpartition(":")
    bracketed = host[:1] == "[" and host[-1:] == "]"
    bare = host[1:-1] if bracketed else host
    number = port.isascii() and port.isdecimal() and int(port[:6]) <= 65535
    if not colon or not number or (":" in bare) is not bracketed or set(bare) & set("[] /@"):
        raise ValueError("expected HOST:PORT, [V6]:PORT or :PORT")
    return bare, int(port)


def address(value: Any) -> str:
    """HOST:PORT, [V6]:PORT or :PORT."""
    found = text(value)
    split_address(found)
    return found


def number(low: float, high: float, kind: type) -> Callable[[Any], Any]:
    """A number within bounds."""
    word = "a whole number" if kind is int else "a number"

    def parse(value: Any) -> Any:
        try:
            number = None if isinstance(value, bool) else kind(value)
        except (TypeError, ValueError, OverflowError):
            number = None
        if number is None or not low <= number <= high or (kind is int and number != float(value)):
            raise ValueError(f"expected {word} from {low} to {high}")
        return number

    return parse


def choice(*words: str) -> Callable[[Any], Any]:
    """One of the words."""

    def parse(value: Any) -> Any:
        word = value.lower() if isinstance(value, str) else None
        if word not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return word

    return parse


def signal_name(value: Any) -> str:
    """A signal by its name, without SIG."""
    return signals.named(text(value)).name.removeprefix("SIG")


def numbers(most: int, low: float, high: float) -> Callable[[Any], Any]:
    """Rising numbers, separated by commas."""

    def parse(value: Any) -> Any:
        items = value.split(",") if isinstance(value, str) else value
        try:
            numbers = [float("nan") if isinstance(item, bool) else float(item) for item in items]
        except (TypeError, ValueError, OverflowError):
            numbers = []
        rising = all(a < b for a, b in itertools.pairwise(numbers))
        if not rising or not 0 < len(numbers) <= most or not (low <= numbers[0] and numbers[-1] <= high):
            raise ValueError(f"expected 1 to {most} rising numbers from {low} to {high}, separated by commas")
        return tuple(numbers)

    return parse


def texts(value: Any) -> tuple[str, ...]:
    """Names, separated by commas."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) and item for item in items):
        raise ValueError("expected file or folder names")
    return tuple(items)


def payload_target(value: Any) -> str:
    """Where payloads are logged: an address, or the absolute path of a folder or of a .jsonl file."""
    found = text(value)
    if found.startswith("/") and "\0" not in found:
        return found
    try:
        parts = urlsplit(found)
        port = parts.port
    except ValueError:
        raise ValueError(_TARGET) from None
    plain = found.isascii() and found.isprintable() and " " not in found and not parts.fragment
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or port == 0
        or "@" in parts.netloc
        or not plain
    ):
        raise ValueError(_TARGET)
    return found


_STORE = (
    "expected none, memory, sqlite:/PATH, redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE][#NAME], rediss://…, "
    "redis+cluster://… or rediss+cluster://…"
)
_REDIS = ("redis", "rediss", "redis+cluster", "rediss+cluster", "unix")


def label_store(value: Any) -> str:
    """Where predictions wait for their labels."""
    found = text(value)
    if found in ("none", "memory"):
        return found
    if found.startswith("sqlite:/") and "\0" not in found and not found.endswith("/"):
        return found
    try:
        parts = urlsplit(found)
        port = parts.port
    except ValueError:
        raise ValueError(_STORE) from None
    plain = found.isascii() and found.isprintable() and " " not in found
    place = parts.path.strip("/") if parts.scheme == "unix" else parts.hostname
    if parts.scheme not in _REDIS or not place or port == 0 or not plain:
        raise ValueError(_STORE)
    if find_spec("redis") is None:
        raise ValueError("expected the package redis to be installed: pip install 'modeltap[redis]'")
    return found


def stored_headers(value: Any) -> tuple[str, ...]:
    """Names of request headers that may be stored."""
    found = texts(value)
    for name in found:
        if not _HEADER.fullmatch(name) or len(name) > 64:
            raise ValueError("expected names of headers, at most 64 characters each")
        if name.lower() in _CREDENTIALS:
            raise ValueError(f"expected names of headers that may be stored; {name} holds a credential")
    if len(found) > 32:
        raise ValueError("expected at most 32 names of headers")
    return found


def redactions(value: Any) -> tuple[str, ...]:
    """Paths of fields, and headers, that are masked."""
    from exporter.publish.redaction import MAX_RULES, parse  # only where something is masked

    found = texts(value)
    for rule in found:
        parse(rule)
    if len(found) > MAX_RULES:
        raise ValueError(f"expected at most {MAX_RULES} paths")
    return found
