"""Redaction: which paths are understood, what they mask, and that nothing masked is ever left."""

import json
from copy import deepcopy
from typing import Any

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.publish import redaction
from exporter.publish.redaction import MASK, Redaction, Unredactable, parse

BODY: dict[str, Any] = {
    "id": 7,
    "user": {"email": "a@b", "ssn": "1", "a.b": 2},
    "instances": [{"ssn": "2", "age": 3}, {"ssn": "4", "age": 5}, 6],
    "inputs": [{"name": "ssn", "data": [7, 8]}, {"name": "age", "data": [9]}],
    "rows": [[10, 11], [12, 13]],
}


def masked(path: str, value: Any = BODY) -> Any:
    """The value read back after redaction by one path."""
    return json.loads(Redaction([parse(path)]).body("request", json.dumps(value).encode()))


# Path -> what JMESPath would find there: those values, and no others, are masked.
PATHS = [
    "id",
    "user",
    "user.email",
    'user."a.b"',
    "user.*",
    "*.ssn",
    "instances",
    "instances[*].ssn",
    "instances[0]",
    "instances[-1]",
    "instances[9]",
    "inputs[?name=='ssn'].data",
    "rows[*][1]",
    "rows[0][*]",
    "nothing.here",
    "id.email",
    "user[0]",
    "instances.ssn",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_masks_what_jmespath_finds(path: str) -> None:
    """Each value that JMESPath finds by the same expression is gone, and every other one stands as it was."""
    found = jmespath.search(path, BODY)
    several = "*" in path or "?" in path
    lost = [] if found is None else found if several else [found]
    after = masked(path)
    assert leaves(after).count(MASK) == len(lost)
    gone = [leaf for value in lost for leaf in leaves(value)]
    left = [leaf for leaf in leaves(after) if leaf != MASK]
    assert sorted(map(str, gone + left)) == sorted(map(str, leaves(BODY)))


def leaves(value: Any) -> list[Any]:
    """All values that hold no others."""
    if isinstance(value, dict):
        return [leaf for each in value.values() for leaf in leaves(each)]
    if isinstance(value, list):
        return [leaf for each in value for leaf in leaves(each)]
    return [value]


def test_any_depth() -> None:
    """`**` finds a field wherever it is, the top and what stands within lists included."""
    after = masked("**.ssn", BODY | {"ssn": {"x": 1}})
    assert after["ssn"] == after["user"]["ssn"] == after["instances"][0]["ssn"] == MASK
    assert after["inputs"] == BODY["inputs"]
    assert masked("user.**.ssn")["instances"] == BODY["instances"]
    assert masked("**[0]", [[1, 2], {"a": [3, 4]}]) == [MASK, {"a": [MASK, 4]}]


def test_sides() -> None:
    """A path holds for both bodies unless a side stands in front of it; a side without paths is left alone."""
    rules = [parse("a"), parse("request:b"), parse("response:c")]
    body = b'{"a":1,"b":2,"c":3}'
    mask = f'"{MASK}"'.encode()
    assert Redaction(rules).body("request", body) == b'{"a":%s,"b":%s,"c":3}' % (mask, mask)
    assert Redaction(rules).body("response", body) == b'{"a":%s,"b":2,"c":%s}' % (mask, mask)
    assert Redaction(rules[1:2]).body("response", b"no JSON \xff") == b"no JSON \xff"
    assert Redaction(rules).body("request", b"") == b""


def test_headers() -> None:
    """`header:` names headers, whatever their case; it touches no body."""
    found = Redaction([parse("header:X-User"), parse("header:x-request-id")])
    assert found.headers == {"x-user", "x-request-id"}
    assert found.body("request", b"\xff") == b"\xff"


@pytest.mark.parametrize(
    "path",
    [
        *("", ".", "a.", ".a", "a..b", "a b", "a[", "a[]", "a[b]", "a.[0]", "a**", "**", "a.**", "**.a.**.b"),
        *("a[?b]", "a[?b==c]", '"', '"a', "a|b", "a,b", "$.a", "@", "header:", "header:a b", "request:", "ä"),
        "x" * 513,
    ],
)
def test_what_is_no_path_is_refused(path: str) -> None:
    """A path that is not understood is told, never passed over."""
    with pytest.raises(ValueError, match=r"^expected "):
        parse(path)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a":1,"b":1,"a":2}', {"a": MASK, "b": 1}),
        (b'{"\\u0061":"x","b":"\\u0061"}', {"a": MASK, "b": "a"}),
        (
            b' {"a" : [1] ,\n"b":123456789012345678901234567890}',
            {"a": MASK, "b": 123456789012345678901234567890},
        ),
        (b'{"a":NaN,"b":1.5}', {"a": MASK, "b": 1.5}),
        (b'{"a":"\\ud800","b":-Infinity}', {"a": MASK, "b": float("-inf")}),
    ],
)
def test_a_field_is_found_however_it_is_written(body: bytes, expected: Any) -> None:
    """Twice, escaped, with spaces, beside bare NaN: it is one field, and it is masked."""
    assert json.loads(Redaction([parse("a")]).body("request", body)) == expected


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"x",
            b"{",
            b'{"a":1}\n{"a":2}',
            b'data: {"a":1}\n\n',
            b"a=1&b=2",
            b"\x00\x01",
            b'{"a":"\xff"}',
            b'{"a":1,}',
        ),
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b"[" + b"[]," * redaction.MAX_CONTAINERS + b"[]]",
        b"1" * 5000,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_cannot_be_searched_does_not_come_back(body: bytes) -> None:
    """No JSON, too deep, too many values: there is no body rather than one that may hold what is to be masked."""
    with pytest.raises(Unredactable):
        Redaction([parse("a")]).body("request", body)


def test_a_body_over_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body larger than what may be parsed is not taken."""
    monkeypatch.setattr(redaction, "MAX_BODY", 10)
    with pytest.raises(Unredactable):
        Redaction([parse("a")]).body("request", b'{"a":"123456"}')


SECRET = "s3cr3t-\u00e4-value"
keys = st.text(st.characters(exclude_characters='"', exclude_categories=("Cs",)), min_size=1, max_size=6)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
secrets = st.sampled_from((SECRET, [SECRET], {"k": [1, {SECRET: SECRET}]}, [[SECRET, 1.5], None]))


@st.composite
def places(draw: st.DrawFn) -> tuple[Any, str]:
    """A tree with the secret somewhere in it, and a path that leads there."""
    tree: Any = draw(
        st.dictionaries(keys, trees, min_size=1, max_size=4) | st.lists(trees, min_size=1, max_size=4)
    )
    node, path = tree, ""
    while True:
        key = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        step = f'"{key}"' if isinstance(node, dict) else draw(st.sampled_from((f"[{key}]", "[*]")))
        if isinstance(node, dict):
            step = draw(st.sampled_from((step, "*")))
        path += step if step.startswith("[") or not path else f".{step}"
        if not isinstance(node[key], dict | list) or not node[key] or draw(st.booleans()):
            node[key] = draw(secrets)
            return tree, path
        node = node[key]


@given(places(), st.booleans(), st.sampled_from((None, 1)), st.sampled_from(("", "request:")), st.booleans())
def test_what_is_masked_is_in_no_byte(
    place: tuple[Any, str], ascii_only: bool, indent: int | None, side: str, deep: bool
) -> None:
    """Wherever a secret stands, in whatever spelling: the path that leads there takes all of it out."""
    tree, path = place
    body = json.dumps(tree, ensure_ascii=ascii_only, indent=indent).encode()
    if deep:
        path = f"**{path}" if path.startswith("[") else f"**.{path}"
    after = Redaction([parse(side + path)]).body("request", body)
    assert SECRET.encode() not in after
    assert json.dumps(SECRET).strip('"').encode() not in after
    assert SECRET not in json.loads(after.decode()).__repr__()


@given(trees, st.sampled_from(("zz-not-there", "[?zz=='q']", "**.zz-not-there")))
def test_the_rest_keeps_its_value(tree: Any, path: str) -> None:
    """A path that leads nowhere changes no value."""
    body = json.dumps(tree).encode()
    assert json.loads(Redaction([parse(path)]).body("request", body)) == deepcopy(tree)
