"""The standard samplers by their names, and the parsing of a parent."""

import random

import pytest

from exporter.proxy.trace import SAMPLERS, Sampler
from exporter.wire.head import RequestHead
from tests.proxy.clients import get

SECOND = 1_000_000_000
SPAN, HIGH, LOW = "b7ad6b7169203331", "0" * 15 + "1" + "f" * 16, "1" * 16 + "0" * 15 + "1"


def _sampler(name: str, ratio: float = 0.5, per_second: int = 50) -> Sampler:
    return Sampler(name, ratio, per_second, random.Random(1).getrandbits)


def _outcome(sampler: Sampler, *values: str, now: int = 0) -> str:
    return sampler.decide(RequestHead(get("/a", *(f"traceparent: {value}" for value in values))), now)[0]


# sampler -> outcome for: no parent at ratio 1, no parent at ratio 0, a sampled and an unsampled parent whose trace id
# is above the ratio's bound
TABLE = {
    "always_on": ("root", "root", "child", "child"),
    "always_off": ("unsampled", "unsampled", "unsampled", "unsampled"),
    "traceidratio": ("root", "unsampled", "unsampled", "unsampled"),
    "parentbased_always_on": ("root", "root", "child", "unsampled"),
    "parentbased_always_off": ("unsampled", "unsampled", "child", "unsampled"),
    "parentbased_traceidratio": ("root", "unsampled", "child", "unsampled"),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers(name: str) -> None:
    """Each sampler decides as the specification says, with and without a parent."""
    sampled, unsampled = f"00-{HIGH}-{SPAN}-01", f"00-{HIGH}-{SPAN}-00"
    assert TABLE[name] == (
        _outcome(_sampler(name, 1.0)),
        _outcome(_sampler(name, 0.0)),
        _outcome(_sampler(name), sampled),
        _outcome(_sampler(name), unsampled),
    )


def test_unknown_sampler() -> None:
    """An unknown name is refused with those that are known."""
    with pytest.raises(ValueError, match=r"'sometimes'.*parentbased_traceidratio"):
        Sampler("sometimes", 1.0, 1)


def test_ratio_compares_the_lower_half_of_the_trace_id() -> None:
    """All services decide alike, because all look at the same 64 bits."""
    assert _outcome(_sampler("traceidratio"), f"00-{LOW}-{SPAN}-00") == "child"
    assert _outcome(_sampler("traceidratio"), f"00-{HIGH}-{SPAN}-01") == "unsampled"
    sampler = _sampler("traceidratio", 0.25, 10_000)
    roots = sum(_outcome(sampler, now=number) == "root" for number in range(4000))
    assert 900 < roots < 1100


def test_roots_are_limited_per_second() -> None:
    """The limit counts root spans of one second; a child is never limited."""
    sampler = _sampler("parentbased_always_on", per_second=2)
    assert [_outcome(sampler, now=0) for _ in range(3)] == ["root", "root", "limited"]
    assert _outcome(sampler, f"00-{HIGH}-{SPAN}-01", now=0) == "child"
    assert _outcome(sampler, now=SECOND) == "root"


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        (f"00-{HIGH}-{SPAN}-01", "child"),
        (f"00-{HIGH}-{SPAN}-ff", "child"),
        (f"00-{HIGH}-{SPAN}-01 \t", "child"),
        (f"01-{HIGH}-{SPAN}-01-later", "child"),
        (f"cc-{HIGH}-{SPAN}-01", "child"),
        (f"00-{HIGH}-{SPAN}-01-later", "malformed"),
        (f"ff-{HIGH}-{SPAN}-01", "malformed"),
        (f"00-{HIGH}-{SPAN.upper()}-01", "malformed"),
        (f"00-{'0' * 32}-{SPAN}-01", "malformed"),
        (f"00-{HIGH}-{'0' * 16}-01", "malformed"),
        (f"00-{HIGH[1:]}-{SPAN}-01", "malformed"),
        ("", "malformed"),
    ],
)
def test_parents(value: str, outcome: str) -> None:
    """Version 00 exactly; later versions may say more; anything else is malformed."""
    assert _outcome(_sampler("parentbased_always_on"), value) == outcome


def test_two_parents() -> None:
    """Two lines are never chosen from."""
    valid = f"00-{HIGH}-{SPAN}-01"
    assert _outcome(_sampler("always_on"), valid, valid) == "repeated"


def test_ids() -> None:
    """Ids have their widths, and a request id is 32 digits."""
    sampler = _sampler("always_on")
    _, trace = sampler.decide(RequestHead(get("/a")), 0)
    assert trace is not None
    assert [len(trace.trace_id), len(trace.span_id), trace.parent_id] == [32, 16, ""]
    assert len(sampler.request_id()) == 32
    assert sampler.request_id() != sampler.request_id()
