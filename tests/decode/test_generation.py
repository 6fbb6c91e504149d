"""generation.py: streams as the data plane hands them over: marks, parts, gaps, and any bytes in between."""

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.decode import observe
from exporter.records.exchange import Exchange, Stream
from exporter.records.observation import Generation, Observation, Undecodable
from exporter.wire.sse import events
from tests.analysis.generations import MS, chunk, sse, stamped, streamed, usage
from tests.decode.cases import JSON
from tests.decode.exchanges import exchange
from tests.decode.laws import check, counted

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
BODY = sse(
    chunk(),
    *[chunk(letter) for letter in "abcdefgh"],
    chunk("", "stop"),
    {"choices": [], "usage": usage(3, 8)},
)
PATHS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/generate_stream",
    "/v2/models/m/generate_stream",
)


def told(one: Exchange) -> Generation:
    found = observe(one)
    assert found.generation is not None
    return found.generation


def test_times_are_those_of_content() -> None:
    """First and last content by their own marks: a role, a reason and a usage are none."""
    made = told(streamed(BODY))
    assert (made.first_content, made.last_content) == (110 * MS, 180 * MS)
    assert (made.chunks, made.output_tokens, made.estimated) == (8, 8, False)


def test_marks_of_several_events() -> None:
    """An event that came with others has the time of the read that brought it."""
    ends = [event.end for event in events(BODY)]
    coarse = Stream([ends[3], ends[8], ends[-1]], [10, 20, 30], len(ends))
    made = told(streamed(BODY, coarse))
    assert (made.first_content, made.last_content) == (10, 20)


def test_without_marks_there_are_no_times() -> None:
    """A stored stream tells everything but when."""
    made = told(streamed(BODY, stream=None))
    assert (made.first_content, made.last_content, made.output_tokens) == (None, None, 8)


@pytest.mark.parametrize("count", range(1, 12))
def test_a_stream_that_broke_off(count: int) -> None:
    """What came until then is counted, as an estimate; there is no row."""
    ends = [event.end for event in events(BODY)]
    body = BODY[: ends[count - 1] + 7]
    one = streamed(body, stamped(body), error_type="abort", response_captured=False)
    found = observe(one)
    assert (found.rows, found.inputs, found.outputs) == (0, (), ())
    made = told(one)
    assert (made.whole, made.error) == (False, "abort")
    assert made.chunks == min(count - 1, 8)
    assert made.estimated is (count < 11)


def test_a_stream_that_broke_off_before_any_event() -> None:
    """Nothing came: that is told too."""
    made = told(streamed(b"", Stream([], [], 0), error_type="incomplete", response_captured=False))
    assert (made.chunks, made.output_tokens, made.estimated, made.whole) == (0, 0, True, False)


@pytest.mark.parametrize(("first", "last"), [(2, 5), (1, 9), (4, 10), (0, 3)])
def test_a_stream_without_its_middle(first: int, last: int) -> None:
    """Events that were cut out are counted; times, tokens and reason come from what was kept."""
    ends = [0, *[event.end for event in events(BODY)]]
    whole = stamped(BODY)
    gap, size = ends[first], ends[last] - ends[first]
    stream = Stream(whole.ends, whole.times, whole.events, gap, size)
    made = told(streamed(BODY[:gap] + BODY[gap + size :], stream, response_captured=False))
    assert made.whole
    assert made.output_tokens == 8
    # An event in the gap is taken for content, which the role and the reason are not.
    assert 8 <= made.chunks <= 10
    assert made.completion_characters is None
    assert made.last_content == (180 * MS if last <= 8 else made.last_content)


def test_what_is_not_followed_is_whole_or_refused() -> None:
    """A part of a plain body is not read; of a request, only the answer of a stream tells."""
    with pytest.raises(Undecodable, match="not_captured"):
        observe(streamed(BODY, stream=None, response_captured=False))
    made = told(streamed(BODY, request_captured=False, request_body=b""))
    assert (made.request_model, made.prompt_characters, made.output_tokens) == ("", None, 8)


def test_other_dialects_take_no_part() -> None:
    """A stream that was followed by mistake is refused by a dialect that reads none."""
    one = exchange("/v1/models/m:predict", b"{}", b"{}", response_captured=False, stream=Stream([], [], 0))
    with pytest.raises(Undecodable, match="not_captured"):
        observe(one)
    unknown = exchange("/nowhere", b"{}", b"{}", response_captured=False, stream=Stream([], [], 0))
    with pytest.raises(Undecodable, match="not_captured"):
        observe(unknown)


EVENTS = st.lists(JSON.map(json.dumps) | st.text(max_size=8) | st.just("[DONE]"), max_size=4)
MARKS = st.lists(st.integers(0, 1 << 62), max_size=4)


@given(
    path=st.sampled_from(PATHS),
    values=EVENTS,
    marks=MARKS,
    numbers=st.tuples(st.integers(0, 9), st.integers(0, 99), st.integers(0, 99)),
)
@settings(max_examples=300)
def test_any_events(path: str, values: list[str], marks: list[int], numbers: tuple[int, int, int]) -> None:
    """Any events and any marks end in an Observation that keeps its contract, or a known reason."""
    body = b"".join(b"data: " + value.encode("utf-8", "replace") + b"\n\n" for value in values)
    stream = Stream(sorted(marks), sorted(marks), *numbers)
    request = b'{"inputs":"a","text_input":"a","model":"m"}'
    for whole in (True, False):
        one = exchange(path, request, body, response_head=HEAD, stream=stream, response_captured=whole)
        check(one)
        counted(one)


CHUNK = st.fixed_dictionaries(
    {},
    optional={
        "id": JSON,
        "model": JSON,
        "choices": JSON
        | st.lists(st.fixed_dictionaries({}, optional={"index": JSON, "delta": JSON, "text": JSON})),
        "usage": JSON
        | st.fixed_dictionaries({}, optional={"prompt_tokens": JSON, "completion_tokens": JSON}),
        "type": st.sampled_from(
            ["response.created", "response.completed", "response.output_text.delta", "error"]
        ),
        "response": JSON,
        "delta": JSON,
        "item": JSON,
        "token": JSON | st.fixed_dictionaries({}, optional={"text": JSON, "special": JSON}),
        "details": JSON
        | st.fixed_dictionaries({}, optional={"finish_reason": JSON, "generated_tokens": JSON}),
        "text_output": JSON,
        "error": JSON,
    },
)


@given(path=st.sampled_from(PATHS), values=st.lists(CHUNK, max_size=3))
@settings(max_examples=100)
def test_any_values_in_known_fields(path: str, values: list[dict[str, Any]]) -> None:
    """The fields that are read hold anything, in a stream and alone."""
    request = b'{"inputs":"a","text_input":"a","model":"m"}'
    body = b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)
    check(exchange(path, request, body, response_head=HEAD))
    for value in values:
        check(exchange(path, request, json.dumps(value).encode()))


@given(messages=JSON)
@settings(max_examples=200)
def test_any_prompt(messages: Any) -> None:
    """Whatever stands for a prompt is measured or not."""
    for path, key in zip(PATHS, ("messages", "prompt", "input", "inputs", "text_input"), strict=True):
        check(
            exchange(path, json.dumps({key: messages, "model": messages}).encode(), BODY, response_head=HEAD)
        )


@pytest.mark.parametrize(
    "body",
    [
        b"data: {}\n\n" * 20_000,
        b"data\n\n" * 40_000,
        b"\n" * 200_000,
        b"data: [\n" * 30_000 + b"\n",
        b":" * 200_000,
    ],
    ids=["empty", "bare", "blank", "one event", "comment"],
)
@pytest.mark.parametrize("path", PATHS)
def test_hostile_streams_cost_their_length(path: str, body: bytes) -> None:
    """Very many events, or none at all, end in work that their bytes bound."""
    one = exchange(path, b'{"inputs":"a","text_input":"a"}', body, response_head=HEAD)
    check(one)
    counted(one)


def test_nothing_of_the_text_is_kept() -> None:
    """A word of the prompt or of the answer is nowhere in what comes of an exchange."""
    body = sse(chunk("secretive"), chunk("", "stop"))
    one = msgspec.structs.replace(
        streamed(body), request_body=b'{"model":"m","messages":[{"role":"user","content":"secretive"}]}'
    )
    found = observe(one)
    assert isinstance(found, Observation)
    assert "secretive" not in repr(found)


ODD: st.SearchStrategy[object] = st.sampled_from(
    [None, "", "a", "né", 0, 1, 1.5, True, [], {}, ["a"], [{"index": 1}]]
)


def some(**fields: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Objects with some of these fields, of which any may be of another type than it should be; or no object."""
    return st.fixed_dictionaries({}, optional={name: one | ODD for name, one in fields.items()}) | ODD


CALLS = st.lists(some(index=st.integers(0, 3)), max_size=2)
TEXT = st.text(max_size=3)
DELTA = some(content=TEXT, reasoning_content=TEXT, reasoning=TEXT, tool_calls=CALLS, function_call=ODD)
CHOICE = some(index=st.integers(-1, 3), delta=DELTA, text=TEXT, finish_reason=st.just("stop"))
USAGE = some(prompt_tokens=st.integers(0, 9), completion_tokens=st.integers(0, 9))
CHUNKS = st.lists(
    some(
        id=TEXT,
        model=TEXT,
        choices=st.lists(CHOICE, max_size=2),
        usage=USAGE,
        error=ODD,
        object=st.just("error"),
    ),
    max_size=4,
)
TOKEN = some(text=TEXT, special=st.booleans())
EVENTS = {
    "/v1/chat/completions": CHUNKS,
    "/generate_stream": st.lists(some(token=TOKEN, details=some(finish_reason=TEXT), error=TEXT), max_size=4),
    "/v2/models/m/generate_stream": st.lists(
        some(text_output=TEXT, model_name=TEXT, model_version=TEXT, error=TEXT), max_size=4
    ),
    "/v1/responses": st.lists(
        some(
            type=st.sampled_from(
                ["response.output_text.delta", "response.output_item.added", "response.completed"]
            ),
            delta=TEXT,
            item=some(type=st.just("function_call")),
            output_index=st.integers(0, 2),
            response=some(id=TEXT, model=TEXT, status=TEXT, usage=USAGE),
        ),
        max_size=4,
    ),
}


@pytest.mark.parametrize("path", EVENTS)
@given(data=st.data())
def test_what_is_read_of_an_event_is_what_all_of_it_says(path: str, data: st.DataObject) -> None:
    """Reading only the fields that matter, or all of them as a bare NaN beside them makes us, tells the same."""
    told = data.draw(EVENTS[path])
    plain = b"".join([b"data: " + json.dumps(one).encode() + b"\n\n" for one in told])
    # Another field that no reader of few fields takes, and no blank before the data: the longer way in both places.
    odd = b"".join([b"data:" + json.dumps(_beside(one)).encode() + b"\n\n" for one in told])
    assert _outcome(path, plain) == _outcome(path, odd)


def _beside(value: object) -> object:
    return value | {"beside": math.nan} if isinstance(value, dict) else value


def _outcome(path: str, body: bytes) -> object:
    """All that an answer tells, or why it tells nothing."""
    try:
        found = observe(
            exchange(path, b"", body, response_head=HEAD, request_captured=False, stream=stamped(body))
        )
    except Undecodable as error:
        return error.reason
    assert found.generation is not None
    columns = [(column.name, column.values.tolist()) for column in (*found.inputs, *found.outputs)]
    return found.request_id, found.model_version, msgspec.to_builtins(found.generation), columns
