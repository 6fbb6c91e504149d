"""What holds for any exchange, in one function that generated input, mutated vectors and a fuzzer all call.

`python -m tests.decode.laws --seconds 60` looks for a vector's mutant that breaks a law, and tells its seed.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import msgspec
import numpy as np

from exporter.decode import DIALECTS, REASONS, Dialect, observe, observe_request, pushed
from exporter.decode.columns import MAX_COLUMNS
from exporter.decode.generation import FINISH_REASONS, MAX_CHOICES
from exporter.decode.moments import MAX_AHEAD_SECONDS
from exporter.decode.payload import MAX_NAME
from exporter.records.exchange import OTHER, Exchange
from exporter.records.observation import Column, Generation, NumericTable, Observation, Undecodable
from tests.decode.exchanges import from_raw

VECTORS = Path(__file__).parent.parent / "vectors"
NOW = 1_700_000_000.0  # when what is pushed arrives
LENGTH = b"inference-header-content-length: "
# Calls of the interpreter, by byte of head and body: several times what the worst input that is known costs.
CALLS_PER_BYTE, CALLS_ALWAYS = 8, 3000


class Vector(NamedTuple):
    """A stored exchange of one dialect; `good` ones give an Observation."""

    dialect: str
    name: str
    exchange: Exchange
    good: bool


def vectors() -> list[Vector]:
    """Every vector of every dialect."""
    return [vector for dialect in DIALECTS for vector in _of(dialect.NAME)]


def _of(dialect: str) -> Iterator[Vector]:
    for path in sorted((VECTORS / dialect).glob("*.request")):
        stored = from_raw(path.read_bytes(), path.with_suffix(".response").read_bytes())
        good = "rows" in json.loads(path.with_suffix(".expected.json").read_text())
        yield Vector(dialect, path.stem, stored, good)


def check(exchange: Exchange, dialects: tuple[Dialect, ...] = DIALECTS) -> Observation | str:
    """An Observation that keeps its contract, or a known reason; anything else is an error."""
    alone(exchange, dialects)
    try:
        found = observe(exchange, dialects)
    except Undecodable as refusal:
        assert refusal.reason in REASONS, f"{refusal.reason} is no known reason"
        return refusal.reason
    assert found.protocol in {dialect.NAME for dialect in (*DIALECTS, *dialects)}
    assert type(found.rows) is int and found.rows >= 0
    sides(found)
    return found


def alone(exchange: Exchange, dialects: tuple[Dialect, ...] = DIALECTS) -> Observation | None:
    """The request read without its answer: an Observation of inputs that keeps its contract, or one reason: None."""
    try:
        found = observe_request(exchange, dialects)
    except Undecodable as refusal:
        assert refusal.reason == "not_2xx"
        return None
    assert not found.answered and not found.outputs and found.rows >= 0
    sides(found)
    return found


def sides(found: Observation) -> None:
    """The contract of an Observation's columns and names."""
    for columns in (found.inputs, found.outputs):
        assert type(columns) in (tuple, NumericTable) and len(columns) <= MAX_COLUMNS
        if isinstance(columns, NumericTable):
            assert columns.values.shape == (found.rows * len(columns),) and columns.values.dtype.char in "df"
        assert len({column.name for column in columns}) == len(columns)
        for column in columns:
            keeps(column, found.rows)
    if found.generation is not None:
        sound(found.generation, found.rows)
    for text in (found.model_name, found.model_version, found.request_id):
        assert type(text) is str
        text.encode()


def sound(made: Generation, rows: int) -> None:
    """What a generation tells is counts within reason, and words of small sets."""
    assert made.whole or rows == 0
    assert made.whole is (made.error == "")
    told = (made.input_tokens, made.output_tokens, made.cached_tokens, made.reasoning_tokens)
    sizes = (made.prompt_characters, made.completion_characters)
    assert all(value is None or (type(value) is int and 0 <= value <= 1 << 53) for value in (*told, *sizes))
    assert set(made.finish_reasons) <= FINISH_REASONS | {OTHER}
    assert len(made.finish_reasons) <= made.choices <= MAX_CHOICES
    assert 0 <= made.tool_calls <= MAX_CHOICES**2
    for name in (made.request_model, made.response_model):
        assert len(name) <= MAX_NAME
        name.encode()


def keeps(column: Column, rows: int) -> None:
    """The contract of one column."""
    assert column.values.shape[:1] == (rows,), column.name
    assert type(column.name) is str and 0 < len(column.name) <= MAX_NAME
    column.name.encode()
    assert type(column.nulls) is int and 0 <= column.nulls <= rows
    assert type(column.absent) is int and 0 <= column.absent <= column.nulls
    assert column.values.ndim == (2 if column.kind == "vector" else 1)
    if column.kind == "vector":
        assert column.values.dtype in (np.float64, np.float32)
        assert column.nulls <= np.isnan(column.values).all(axis=1).sum()
    elif column.kind == "numeric":
        assert column.values.dtype in (np.float64, np.float32)
        assert column.nulls <= np.isnan(column.values).sum()
    else:
        assert column.kind == "categorical"
        cells = column.values.tolist()
        assert all(cell is None or type(cell) is str for cell in cells)
        assert sum(cell is None for cell in cells) == column.nulls
        "".join(cell for cell in cells if cell is not None).encode()


def pushes(body: bytes, lines: bool = False, refusals: bool = False) -> list[pushed.Record | str]:
    """What is pushed: records that keep their contract, or known reasons; `refusals`: of the whole body too."""
    try:
        found = pushed.decode(body, lines, NOW)
    except Undecodable as refusal:
        assert refusal.reason in pushed.REASONS, f"{refusal.reason} is no known reason"
        if refusals:
            return []
        raise
    assert len(found) <= pushed.MAX_RECORDS
    for one in found:
        if isinstance(one, str):
            assert one in pushed.REASONS, f"{one} is no known reason"
            continue
        assert 0 <= one.rows <= pushed.MAX_ROWS and len(one.ids) in (0, one.rows)
        assert sum(part.rows for part in one.observations) == one.rows
        for part in one.observations:
            assert part.protocol == pushed.NAME
            assert 0.0 <= part.time <= NOW + MAX_AHEAD_SECONDS
            sides(part)
    return found


def size(exchange: Exchange) -> int:
    """Bytes of heads and bodies."""
    parts = exchange.request_head, exchange.response_head, exchange.request_body, exchange.response_body
    return sum(map(len, parts))


def counted(exchange: Exchange) -> int:
    """The calls that an observation takes, counted; they are bounded by the bytes."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        observe(exchange)
    except Undecodable:
        pass
    finally:
        sys.setprofile(before)
    most = CALLS_PER_BYTE * size(exchange) + CALLS_ALWAYS
    assert calls <= most, f"{calls} calls for {size(exchange)} bytes"
    return calls


# ---------------------------------------------------------------- mutants of vectors


HOSTILE: tuple[Any, ...] = (
    *(None, True, -1, 0, 1.5, 2**63, 10**400, float("nan"), float("inf"), "", "x" * 300, "\u0000", "1e5"),
    *([], {}, [[]], [{}], [None], [[1, 2], [3]], [1, "a", None], {"": 1}, {"b64": "aGk="}, {"a": {"b": [1]}}),
    *([[[[[[[[[[1]]]]]]]]]], ["a"] * 70, [[0.5] * 65], {"inputs": []}, [True, 1]),
)
TOKENS = (
    b"NaN",
    b"null",
    b"]",
    b"[",
    b"{",
    b'"',
    b",",
    b"\xff",
    b"\x00",
    b"1e999",
    b"\\ud800",
    b"\n",
    b"-",
    b"9" * 30,
)


def mutant(vector: Vector, others: list[Vector], dice: random.Random) -> Exchange:
    """The vector with a few changes to its bodies, or to the fields that say how to read them."""
    exchange = vector.exchange
    for _ in range(dice.randint(1, 3)):
        side = dice.choice(("request", "response"))
        body: bytes = getattr(exchange, f"{side}_body")
        head: bytes = getattr(exchange, f"{side}_head")
        if dice.random() < 0.1:
            head = _head(head, dice)
        elif dice.random() < 0.7:
            head, body = _json(head, body, dice)
        else:
            other: bytes = getattr(dice.choice(others).exchange, f"{side}_body")
            body = _bytes(body, other, dice)
        exchange = msgspec.structs.replace(exchange, **{f"{side}_head": head, f"{side}_body": body})
    return exchange


def _head(head: bytes, dice: random.Random) -> bytes:
    coding = dice.choice((b"gzip", b"deflate", b"br", b"zstd", b"gzip, gzip", b"x", b""))
    length = str(dice.choice((0, 1, 7, 10**30))).encode()
    media = dice.choice((b"text/csv", b"application/json", b"application/x-npy", b"\xff"))
    fields = (b"content-encoding: " + coding, LENGTH + length, b"content-type: " + media)
    lines = head.split(b"\r\n")
    return b"\r\n".join([lines[0], dice.choice(fields), *lines[1:]])


def _json(head: bytes, body: bytes, dice: random.Random) -> tuple[bytes, bytes]:
    """One node of the JSON replaced, removed or repeated; binary tensors behind it stay, and so does their place."""
    lowered = head.lower()
    start = lowered.find(LENGTH)
    told = lowered[start + len(LENGTH) :].split(b"\r\n")[0] if start >= 0 else b""
    split = int(told) if told.isdigit() and len(told) < 9 else len(body)
    try:
        value = json.loads(body[:split])
    except (ValueError, RecursionError):
        return head, _bytes(body, body, dice)
    places = list(_places(value))
    if not places:
        return head, json.dumps(dice.choice(HOSTILE)).encode()
    holder, key = dice.choice(places)
    _change(holder, key, dice)
    changed = json.dumps(value, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")
    if told and dice.random() < 0.9:
        head = lowered.replace(LENGTH + told, LENGTH + str(len(changed)).encode())
    return head, changed + body[split:]


def _change(holder: Any, key: Any, dice: random.Random) -> None:
    way = dice.randrange(5)
    if way == 0:
        del holder[key]
    elif way == 1:
        holder[key] = [holder[key]]
    elif way == 2 and isinstance(holder, list):
        holder.extend([holder[key]] * dice.choice((1, 2, 100)))
    elif way == 3 and isinstance(holder, dict):
        holder[dice.choice(("", "x" * 200, "data", "name"))] = holder.pop(key)
    else:
        holder[key] = dice.choice(HOSTILE)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Where every node but the root is: its holder and its key there."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _bytes(body: bytes, other: bytes, dice: random.Random) -> bytes:
    start, end = sorted((dice.randint(0, len(body)), dice.randint(0, len(body))))
    ways: tuple[Callable[[], bytes], ...] = (
        lambda: body[:start],
        lambda: body[:start] + body[end:],
        lambda: body[:start] + dice.choice(TOKENS) + body[start:],
        lambda: body[:start] + dice.choice(TOKENS) + body[start + 1 :],
        lambda: body[:end] + body[start:end] * 3 + body[end:],
        lambda: body[:start] + other[start:],
        lambda: other,
    )
    return dice.choice(ways)()


def main() -> int:
    """Look for as long as asked; 1 if a mutant broke a law."""
    parser = argparse.ArgumentParser(prog="python -m tests.decode.laws")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="where to begin")
    asked = parser.parse_args()
    stored = vectors()
    seed, ends = asked.seed, time.monotonic() + asked.seconds
    while time.monotonic() < ends:
        dice = random.Random(seed)
        vector = dice.choice(stored)
        one = mutant(vector, stored, dice)
        try:
            check(one)
            counted(one)
        except Exception:
            print(f"seed {seed}, a mutant of {vector.dialect}/{vector.name}:\n{one}", file=sys.stderr)
            raise
        seed += 1
    print(f"{seed - asked.seed} mutants of {len(stored)} vectors keep the laws")
    return 0


if __name__ == "__main__":
    sys.exit(main())
