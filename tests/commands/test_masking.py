"""What is masked of settings, variables and texts, and what is not: a bundle without anything helps nobody."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.commands.masking import MASK, masked_environment, masked_settings, scrubbed, secrets

SETTINGS = (
    ("http://a/x", "http://a/x"),
    ("https://me:53cr3t@a/x?key=53cr3t&b=2#c", f"https://{MASK}@a/x?key={MASK}&b={MASK}#c"),
    ("[::]:9000", "[::]:9000"),
    (["http://u@a", 5, True, None], [f"http://{MASK}@a", 5, True, None]),
)


@pytest.mark.parametrize(("value", "shown"), SETTINGS)
def test_settings(value: object, shown: object) -> None:
    """URLs lose their user and the values of their query; everything else stays."""
    assert masked_settings({"x": value}) == {"x": shown}


VARIABLES = (
    ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer 53cr3t", MASK),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "", ""),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://u:53cr3t@a:4317", f"https://{MASK}@a:4317"),
    ("OTEL_RESOURCE_ATTRIBUTES", "a=b,my.token=53cr3t", f"a=b,my.token={MASK}"),
    ("MODELTAP_WRITE_TOKEN_FILE", "/etc/token", "/etc/token"),
    ("MODELTAP_TLS_KEY", "/etc/key.pem", "/etc/key.pem"),
    ("MODELTAP_LISTEN", "[::]:1", "[::]:1"),
    ("MODELTAP_NOBODY_KNOWS", "53cr3t", MASK),
)


@pytest.mark.parametrize(("name", "value", "shown"), VARIABLES)
def test_variables(name: str, value: str, shown: str) -> None:
    """Ours and OpenTelemetry's, each without what may be a secret by its name; others are nobody's business."""
    assert masked_environment({name: value, "HOME": "/x", "AWS_SECRET": "y"}) == {name: shown}


TEXTS = (
    ("Authorization: Bearer abc.def-123", f"Authorization: Bearer {MASK}"),
    ("at http://me:pw@a/?k=v now", f"at http://{MASK}@a/?k={MASK} now"),
    (f"hash $2y$10${'a' * 53} end", f"hash {MASK} end"),
    ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nx", f"{MASK}\nx"),
    ("-----BEGIN PRIVATE KEY-----\nabc", MASK),
    ("model_up 1", "model_up 1"),
)


@pytest.mark.parametrize(("text", "shown"), TEXTS)
def test_texts(text: str, shown: str) -> None:
    """What looks like a secret is none of a text's."""
    assert scrubbed(text, frozenset()) == shown


def test_what_is_known() -> None:
    """Secrets of variables and URLs are found in their parts, however they are written there."""
    environ = {
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20first1,x-key=second2",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://user3:third33@a",
        "MODELTAP_WRITE_TOKEN_FILE": "/etc/token",
    }
    known = secrets(environ, ["http://u:fourth4@b"])
    assert {"first1", "second2", "third33", "user3:third33", "fourth4"} <= known
    assert "/etc/token" not in known


@given(st.text(min_size=4), st.text(), st.text())
def test_a_known_secret_never_stays(secret: str, before: str, after: str) -> None:
    """Whatever is around it."""
    assert secret not in scrubbed(f"{before}{secret}{after}", frozenset({secret})).replace(MASK, "")


def test_the_longest_first() -> None:
    """A secret that is a part of another leaves nothing of it."""
    assert scrubbed("abcdefgh", frozenset({"abcd", "abcdefgh"})) == MASK
