"""Reading a stranger's exposition: against prometheus_client's parsers, and never anything but Malformed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from exporter.publish.exposition import decoded, is_openmetrics, readings, scan
from exporter.records.reading import Malformed, Reading

from .families import Series, parsed, registries, written

TEXT, OPENMETRICS = "text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0"


def as_series(found: list[Reading]) -> Series:
    return {(one.name, tuple(sorted(one.labels.items()))): repr(one.value) for one in found}


@pytest.mark.parametrize("openmetrics", [False, True])
@given(registry=registries())
def test_reads_what_the_library_reads(openmetrics: bool, registry: CollectorRegistry) -> None:
    """Names, labels and values of every sample are those that prometheus_client's parser finds."""
    body = written(registry, openmetrics)
    wanted = parsed(body, openmetrics)
    names = frozenset(name for name, _ in wanted)
    assert as_series(readings(body.encode(), OPENMETRICS if openmetrics else TEXT, names)) == wanted


@given(body=st.text() | st.text('a{}"\\=,# \n1eTYPEOF+-Inf\t\r'), openmetrics=st.booleans())
def test_any_text_is_read_or_refused(body: str, openmetrics: bool) -> None:
    """Whatever comes gives families or Malformed with the line, in the end."""
    try:
        found = scan(body, openmetrics)
    except Malformed as error:
        assert "expected" in str(error)
    else:
        assert all(line.text for family in found.families.values() for line in family.lines.values())


@given(body=st.binary())
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """What is no UTF-8 is refused with the place."""
    try:
        readings(body, TEXT, frozenset())
    except Malformed as error:
        assert "expected" in str(error)


def test_only_the_names_asked_for() -> None:
    """Other samples are checked and left out."""
    assert readings(b"a 1\nb 2\n", TEXT, frozenset("b")) == [Reading("b", {}, 2.0)]
    with pytest.raises(Malformed, match="line 1: 'a x'"):
        readings(b"a x\nb 2\n", TEXT, frozenset("b"))


def test_an_end_that_is_missing_is_a_body_cut_short() -> None:
    """OpenMetrics tells its end; text does not."""
    with pytest.raises(Malformed, match="the end is missing: expected # EOF"):
        scan("a 1\n", True)
    with pytest.raises(Malformed, match="line 2: 'a 1': expected nothing behind # EOF"):
        scan("# EOF\na 1\n", True)
    assert scan("a 1", False).families["a"].lines
    assert scan("# EOF\na 1\n", False).families["a"].lines


def test_long_strings_are_read_in_one_go() -> None:
    """Lines that tempt a backtracking pattern take no longer for it."""
    for tail in ("", '"', '"}', '"} ', '"} 1 1 1'):
        with pytest.raises(Malformed):
            scan('a{b="' + "\\\\" * 100_000 + tail, False)
        with pytest.raises(Malformed):
            scan("a{" + 'b="c",' * 50_000 + tail, False)
        with pytest.raises(Malformed):
            scan("a" * 100_000 + " " * 100_000 + tail, False)


def test_a_mismatch_of_type_and_sample_names_loses_nothing() -> None:
    """prometheus_client escapes the names of samples and not those of types, if asked for OpenMetrics without UTF-8."""
    body = '# TYPE v:h histogram\nv_h_bucket{le="+Inf"} 1.0\nv_h_count 1.0\nv_h_sum 2.0\n# EOF\n'
    found = scan(body, True)
    assert [line.name for family in found.families.values() for line in family.lines.values()] == [
        "v_h_bucket",
        "v_h_count",
        "v_h_sum",
    ]


@pytest.mark.parametrize(
    ("content_type", "openmetrics"),
    [
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", True),
        (" Application/OpenMetrics-Text", True),
        ("text/plain", False),
        ("", False),
        ("application/openmetrics-textual", False),
    ],
)
def test_content_types(content_type: str, openmetrics: bool) -> None:
    """OpenMetrics by its media type, everything else is text."""
    assert is_openmetrics(content_type) is openmetrics


def test_not_utf8() -> None:
    """The place of the first bad byte is told."""
    with pytest.raises(Malformed, match="byte 2 is not UTF-8"):
        decoded(b"a \xff")
