"""CloudEvents: what an exchange says as an event, and that the CloudEvents SDK reads both forms back."""

import gzip
import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.http import HTTPMessage, from_binary_event
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st

from exporter.decode.coding import undo
from exporter.publish.cloudevents import MAX_METADATA, OMITTED, Composer, Event, Origin, Side, binary, line
from exporter.publish.redaction import MASK, Redaction, parse
from exporter.records.exchange import Exchange, Stream

from .exchanges import changed

ORIGIN = Origin("http://pod:9000/", "fraud", "shop", "predictor", "default")
SIDES: tuple[Side, ...] = ("request", "response")
JSON_HEAD = b"Content-Type: application/json\r\n"


def exchange(fields: bytes = b"", **others: object) -> Exchange:
    """A JSON exchange whose request head has these fields besides."""
    given = {
        "request_head": b"POST /v2/models/iris/infer?k=secret HTTP/1.1\r\nHost: m\r\n"
        + JSON_HEAD
        + fields
        + b"\r\n",
        "response_head": b"HTTP/1.1 200 OK\r\n" + JSON_HEAD + b"\r\n",
        "request_body": b'{"inputs":[{"name":"x","data":[1]}]}',
        "response_body": b'{"outputs":[{"name":"y","data":[2]}]}',
        "request_captured": True,
        "trace": None,
    }
    return changed(**given | others)


def composer(
    *redact: str, headers: tuple[str, ...] = (), plain: bool = True, origin: Origin = ORIGIN
) -> Composer:
    """With those rules of redaction and allowed headers."""
    return Composer(origin, headers, Redaction(map(parse, redact)), undo if plain else None)


def compose(found: Exchange, side: Side = "request", made: Composer | None = None) -> Event:
    """The event of one side."""
    made = made or composer()
    return made.event(found, side, made.identity(found))[0]


def by_http(event: Event) -> BaseCloudEvent:
    """As the SDK reads it from a request in binary mode."""
    return from_binary_event(HTTPMessage(binary(event), event.data))


def by_line(event: Event) -> BaseCloudEvent:
    """As the SDK reads it from a line of JSON."""
    data = line(event)
    assert data.endswith(b"\n")
    assert data.count(b"\n") == 1
    return JSONFormat().read(None, data)


def test_what_kserve_s_agent_emits() -> None:
    """Binary mode has every header of KServe's agent, and those of Seldon, of tracing and of the outcome."""
    head = b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nX-Tenant: a\r\nx-tenant: b\r\n"
    found = exchange(head, start=1_700_000_000_123_456_789)
    assert binary(compose(found, "response", composer(headers=("X-Tenant", "X-None")))) == {
        "ce-specversion": "1.0",
        "ce-id": "r-1",
        "ce-source": "http://pod:9000/",
        "ce-type": "org.kubeflow.serving.inference.response",
        "ce-time": "2023-11-14T22:13:20.132456Z",
        "ce-inferenceservicename": "fraud",
        "ce-namespace": "shop",
        "ce-component": "predictor",
        "ce-endpoint": "default",
        "ce-metadata": "{%22X-Tenant%22:[%22a%22,%22b%22]}",
        "ce-modelid": "iris",
        "ce-modelversion": "3",
        "ce-operation": "predict",
        "ce-protocol": "open_inference_v2",
        "ce-requestid": "r-1",
        "ce-traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "ce-statuscode": "200",
        "content-type": "application/json",
    }
    request = binary(compose(found))
    assert request["ce-type"] == "org.kubeflow.serving.inference.request"
    assert request["ce-time"] == "2023-11-14T22:13:20.123456Z"
    assert "ce-statuscode" not in request


@pytest.mark.parametrize("side", SIDES)
def test_both_forms_say_the_same(side: Side) -> None:
    """The SDK finds the same attributes and data in the request and in the line of JSON."""
    event = compose(exchange(b"X-A: \xc3\xa9 100%\r\n"), side, composer(headers=("X-A",)))
    one, other = by_http(event), by_line(event)
    assert one.get_attributes() == other.get_attributes()
    assert one.get_data() == other.get_data() == json.loads(event.data)
    assert json.loads(one.get_attributes()["metadata"]) == {"X-A": ["é 100%"]}


def test_what_is_not_known_is_left_out() -> None:
    """No empty attribute, no `unknown`, nothing that the owner did not say."""
    found = exchange(model_name="unknown", model_version="", protocol="unknown", request_id="")
    names = compose(found, made=composer(origin=Origin("urn:x"))).attributes.keys()
    assert names == {"specversion", "id", "source", "type", "time", "metadata", "operation"}
    assert compose(found, made=composer()).attributes["inferenceservicename"] == "fraud"
    assert (
        compose(exchange(), made=composer(origin=Origin("urn:x"))).attributes["inferenceservicename"]
        == "iris"
    )


@pytest.mark.parametrize(
    ("fields", "request_id", "expected"),
    [
        (b"Ce-Id: mine\r\n", "r-1", "mine"),
        (b"ce-id: a%20b\r\n", "r-1", "a b"),
        (b"", "r-1", "r-1"),
        (b"Ce-Id: " + b"x" * 257 + b"\r\n", "r-1", "r-1"),
        (b"Ce-Id: \r\n", "r-1", "r-1"),
    ],
)
def test_the_id(fields: bytes, request_id: str, expected: str) -> None:
    """The caller's Ce-Id, else the request id."""
    assert composer().identity(exchange(fields, request_id=request_id)) == expected


@pytest.mark.parametrize("request_id", ["", "x" * 257])
def test_an_id_of_its_own(request_id: str) -> None:
    """Without an id, or with one that is too long, the event gets a new UUID and tells no request id."""
    found = exchange(request_id=request_id)
    identity = composer().identity(found)
    assert str(uuid.UUID(identity)) == identity
    assert "requestid" not in composer().event(found, "request", identity)[0].attributes


def test_the_sidecar_s_span_is_the_parent() -> None:
    """With a span of the sidecar's own, the events belong to it; a traceparent that is none is left out."""
    traced = compose(changed()).attributes["traceparent"]
    assert traced == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert "traceparent" not in compose(exchange(b"traceparent: junk\r\n")).attributes


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": 503, "error_type": "5xx"}, {"statuscode": "503", "errortype": "5xx"}),
        ({"status": 404, "error_type": "4xx"}, {"statuscode": "404", "errortype": "4xx"}),
        (
            {"status": 0, "error_type": "refused", "response_head": b"", "response_body": b""},
            {"errortype": "refused"},
        ),
        ({"status": 200, "error_type": "abort"}, {"statuscode": "200", "errortype": "abort"}),
    ],
)
def test_failures_tell_how_they_failed(fields: dict[str, Any], expected: dict[str, str]) -> None:
    """A response event has the status code, if there was an answer, and the error type; also where nothing came."""
    event = compose(exchange(**fields), "response")
    found = {name: event.attributes.get(name) for name in ("statuscode", "errortype")}
    assert {name: value for name, value in found.items() if value} == expected
    assert by_http(event).get_attributes() == by_line(event).get_attributes()


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("reason", OMITTED)
def test_a_body_that_is_not_there_says_why(side: Side, reason: str) -> None:
    """Not captured, in a coding that cannot be undone, not redactable: an event without data and with the reason."""
    coded = b"X /p HTTP/1.1\r\nContent-Encoding: gzip\r\n\r\n"
    broken = {
        "not_captured": exchange(
            request_captured=False, response_captured=False, request_body=b"", response_body=b""
        ),
        "coding": exchange(request_head=coded, response_head=coded),
        "redaction": exchange(request_body=b"no JSON", response_body=b"no JSON"),
    }[reason]
    made = composer("a")
    event, omitted = made.event(broken, side, "1")
    assert (event.data, omitted, event.attributes["dataomitted"]) == (b"", reason, reason)
    assert by_http(event).get_data() is by_line(event).get_data() is None


def test_a_stream_is_told_whole_or_not() -> None:
    """Of a stream that lacks its middle nothing is told: what is left is not what the client got."""
    part = exchange(response_body=b"data: 1\n\n", response_captured=False, stream=Stream([9], [1], 1, 9, 100))
    assert composer().event(part, "response", "1")[1] == "not_captured"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    whole = exchange(response_head=head, response_body=b"data: 1\n\n", stream=Stream([9], [1], 1))
    assert by_line(compose(whole, "response")).get_data() == "data: 1\n\n"


def test_no_body_is_nothing_missing() -> None:
    """A request without a body, and an answer that never came, lack nothing."""
    for side in SIDES:
        event, omitted = composer("a").event(exchange(request_body=b"", response_body=b""), side, "1")
        assert (event.data, omitted) == (b"", "")
        assert "dataomitted" not in event.attributes


def test_codings_are_undone() -> None:
    """Bodies are plain; where they are to stay as they are, the coding is told and redaction lets none pass."""
    body = b'{"a":1,"b":2}'
    head = b"POST / HTTP/1.1\r\nContent-Encoding: gzip\r\n" + JSON_HEAD + b"\r\n"
    coded = exchange(request_head=head, request_body=gzip.compress(body, mtime=0))
    assert compose(coded).data == body
    assert compose(coded, made=composer("a")).data == b'{"a":"%s","b":2}' % MASK.encode()
    kept = compose(coded, made=composer(plain=False))
    assert (kept.data, kept.attributes["contentencoding"]) == (gzip.compress(body, mtime=0), "gzip")
    assert composer("a", plain=False).event(coded, "request", "1")[1] == "redaction"


def test_masked_headers_are_in_no_attribute() -> None:
    """A masked header shows that it was there and nothing more, also where it would have become the id."""
    fields = (
        b"X-User: SECRET-1\r\nCe-Id: SECRET-2\r\ntraceparent: 00-%s-b7ad6b7169203331-01\r\n"
        % (b"5ec1e7" * 6)[:32]
    )
    fields += b"x-request-id: SECRET-3\r\n"
    found = exchange(fields, request_id="SECRET-3")
    rules = ("header:x-user", "header:ce-id", "header:traceparent", "header:X-Request-Id")
    made = composer(*rules, headers=("X-User", "X-Request-Id"))
    event = compose(found, made=made)
    assert json.loads(event.attributes["metadata"]) == {"X-User": [MASK], "X-Request-Id": [MASK]}
    for written in (line(event), repr(binary(event)).encode()):
        assert b"SECRET" not in written
        assert b"5ec1e7" not in written
    assert str(uuid.UUID(event.attributes["id"])) == event.attributes["id"]


def test_the_query_is_in_no_attribute() -> None:
    """A query may hold a key; nothing of it is written."""
    assert b"secret" not in line(compose(exchange()))


@given(
    st.lists(
        st.binary(max_size=1500).map(lambda value: value.replace(b"\r", b"").replace(b"\n", b"")), max_size=12
    )
)
def test_metadata_is_bounded(values: list[bytes]) -> None:
    """However many and long the allowed headers are, what is written of them fits into a field line."""
    fields = b"".join(b"x-%d: %s\r\n" % (number % 5, value) for number, value in enumerate(values))
    made = composer(headers=tuple(f"X-{number}" for number in range(5)))
    event = compose(exchange(fields), made=made)
    assert len(binary(event)["ce-metadata"]) <= MAX_METADATA + 512
    assert by_http(event).get_attributes() == by_line(event).get_attributes()


def test_metadata_that_does_not_fit() -> None:
    """What is too long is told so; what comes after it still has its place."""
    made = composer(headers=("X-Long", "X-Many", "X-Short"))
    event = compose(
        exchange(b"x-long: %s\r\n" % (b"a" * 5000) + b"x-many: 1\r\n" * 9 + b"x-short: b\r\n"), made=made
    )
    expected = {"X-Long": ["<too_long>"], "X-Many": ["<too_long>"], "X-Short": ["b"]}
    assert json.loads(event.attributes["metadata"]) == expected


@pytest.mark.parametrize(
    ("kind", "body", "member"),
    [
        ("application/json", b'{\n "a": 1.10,\r\n "b": [1,\t2]}', '"data":{"a":1.10,"b":[1,2]}'),
        ("application/vnd.x+json; charset=utf-8", b"[1e999]", '"data":[1e999]'),
        ("text/event-stream", b"data: x\n\n", '"data":"data: x\\n\\n"'),
        ("text/csv; charset=UTF-8", "é,1".encode(), '"data":"é,1"'),
        ("text/csv; charset=latin-1", b"\xe9", '"data_base64":"6Q=="'),
        ("text/plain", b"\xe9", '"data_base64":"6Q=="'),
        ("application/json", b"[NaN]", '"data_base64":"W05hTl0="'),
        ("application/json", b'"\xff"', '"data_base64":"Iv8i"'),
        ("application/json", b'"\\ud800"', '"data_base64":"Ilx1ZDgwMCI="'),
        ("application/octet-stream", b"{}", '"data_base64":"e30="'),
        ("", b"{}", '"data":{}'),
        ("", b"x", '"data_base64":"eA=="'),
    ],
)
def test_data_of_a_line(kind: str, body: bytes, member: str) -> None:
    """JSON is embedded as it is written, without white space; text is a string; all else, and what lies, is base64."""
    head = b"POST / HTTP/1.1\r\nContent-Type: %s\r\n\r\n" % kind.encode()
    event = compose(exchange(request_head=head, request_body=body))
    assert member in line(event).decode()
    found = by_line(event).get_data()
    assert found == (body.decode() if kind.startswith("text") and '"data":' in member else found)
    if "base64" in member:
        assert found == body


texts = st.text(max_size=40)


@given(
    st.binary(max_size=60),
    st.binary(max_size=40),
    texts,
    texts,
    st.sampled_from(SIDES),
    st.integers(0, 2**61),
)
def test_any_exchange_is_an_event(
    body: bytes, field: bytes, identity: str, name: str, side: Side, start: int
) -> None:
    """Whatever a client writes, both forms are read by the SDK, and say the same but for how data is told."""
    field = field.replace(b"\r", b"").replace(b"\n", b"")
    head = b"POST / HTTP/1.1\r\nContent-Type: " + field + b"\r\nCe-Id: " + field + b"\r\n\r\n"
    identity, name = (
        text.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for text in (identity, name)
    )
    found = exchange(
        request_head=head,
        request_body=body,
        response_body=body,
        request_id=identity,
        model_name=name,
        start=start,
    )
    event = compose(found, side)
    one, other = by_http(event).get_attributes(), by_line(event).get_attributes()
    assert one == other
    assert one["id"]
    assert all(value.isascii() and value.isprintable() for value in binary(event).values())
    record = json.loads(line(event))
    assert not {"data", "data_base64"} <= record.keys()


def test_time_is_the_second_it_says() -> None:
    """Arrival for the request, completion for the response, in UTC."""
    found = exchange(start=1_000_000_000, duration=2_500_000_000)
    times = [by_http(compose(found, side)).get_attributes()["time"] for side in SIDES]
    assert times == [
        datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        datetime(1970, 1, 1, 0, 0, 3, 500_000, tzinfo=UTC),
    ]
