"""The payload log as the configuration makes it."""

import socket
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from exporter.parts.payloads import payload_log
from exporter.publish import PayloadLogConfig
from exporter.publish.backlog import DROP_REASONS
from exporter.publish.cloudevents import OMITTED, Composer, Origin
from exporter.publish.delivery import FAILURES
from exporter.publish.payload_log import DROPS, MODES, connect
from exporter.publish.redaction import Redaction
from exporter.records.catalogue import CATALOGUE, prometheus_name
from exporter.settings.config import Config, ConfigError, load
from exporter.settings.options import SETTINGS
from exporter.settings.values import payload_target, redactions, stored_headers
from tests.publish.exchanges import changed
from tests.receivers.cloudevents import CloudEventSink
from tests.receivers.otlp import until

UPSTREAM = "http://127.0.0.1:1"


def test_off_by_default() -> None:
    """Without a target there is no payload log."""
    assert payload_log(Config(upstream=UPSTREAM), 0.0) is None


def test_settings_and_fields_are_the_same() -> None:
    """Each field of the log is a setting with the same default, but for what no user sets."""
    config = Config(upstream=UPSTREAM)
    ours = {field.name: field.default for field in fields(PayloadLogConfig)}
    assert ours.pop("backoff") == 0.5
    prefix = "payload_log_"
    settings = {key.removeprefix(prefix) for key in Config.__struct_fields__ if key.startswith(prefix)}
    assert settings == ours.keys()
    assert {name: getattr(config, prefix + name) for name in ours} == ours


def test_words_are_the_publisher_s() -> None:
    """What the settings take is what the publisher knows."""
    for key, words in (("payload_log_mode", MODES), ("payload_log_drop", DROPS)):
        for word in words:
            load({"upstream": UPSTREAM, key: word}, {})


@pytest.mark.parametrize(
    ("listen", "source", "expected"),
    [
        ("[::]:9000", "", f"http://{socket.gethostname()}:9000/"),
        ("unix:/run/x", "", f"urn:modeltap:{socket.gethostname()}"),
        ("[::]:9000", "urn:mine", "urn:mine"),
    ],
)
def test_an_exchange_arrives(listen: str, source: str, expected: str) -> None:
    """All the way from the settings: codings undone, fields masked, and the sidecar named as the source."""
    with CloudEventSink() as sink:
        config = load(
            {
                "upstream": UPSTREAM,
                "listen": listen,
                "payload_log_target": sink.url,
                "payload_log_source": source,
                "payload_log_service": "fraud",
                "payload_log_redact": ["**.ssn"],
                "payload_log_mode": "response",
            },
            {},
        )
        log = payload_log(config, 0.0)
        assert log is not None
        log.start()
        log.offer(changed(response_body=b'{"ssn":"1"}', response_head=b"HTTP/1.1 200 OK\r\n\r\n"))
        assert until(lambda: sink.events)
        log.stop(5)
    (received,) = sink.events
    assert received.attributes["source"] == expected
    assert received.attributes["inferenceservicename"] == "fraud"
    assert received.body == b'{"ssn":"<redacted>"}'


@pytest.mark.parametrize(
    ("target", "kind"),
    [("http://a/b", "HttpSink"), ("https://a", "HttpSink"), ("/a", "FileSink"), ("/a/b.jsonl", "FileSink")],
)
def test_the_target_names_the_sink(target: str, kind: str) -> None:
    """An address or a path."""
    assert type(connect(PayloadLogConfig(target=payload_target(target)))).__name__ == kind


@pytest.mark.parametrize(
    "target",
    [
        *(
            "a",
            "a/b",
            "./a",
            "ftp://a",
            "http://",
            "http://a:0",
            "http://a:b",
            "http://u:p@a",
            "http://a b",
            "http://a#b",
        ),
        *("http://[::1", "http://ä/", "s3://bucket", "/a\0b", "http://a/\r\nx:y", True, 1.5, None),
    ],
)
def test_targets_that_are_none(target: Any) -> None:
    """Anything else is told with what was expected."""
    with pytest.raises(ValueError, match=r"^expected "):
        payload_target(target)


@pytest.mark.parametrize("name", ["Authorization", "cookie", "X-Api-Key", "a b", "", "ä", "x" * 65, "a:b"])
def test_headers_that_may_not_be_stored(name: str) -> None:
    """Credentials are never stored, and what is no header's name is none."""
    with pytest.raises(ValueError, match=r"^expected "):
        stored_headers([name])


def test_bounds_on_lists() -> None:
    """Neither headers nor paths are without end."""
    for parse, item, most in ((stored_headers, "a", 32), (redactions, "a", 64)):
        assert len(parse([item] * most)) == most
        with pytest.raises(ValueError, match=rf"^expected at most {most} "):
            parse([item] * (most + 1))


def test_the_page_names_everything() -> None:
    """docs/payload-log.md has every setting, reason, metric and attribute."""
    page = (Path(__file__).parents[2] / "docs" / "payload-log.md").read_text()
    flags = [setting.flag for setting in SETTINGS if setting.key.startswith("payload_log_")]
    rows = [prometheus_name(row) for row in CATALOGUE if row.name.startswith("modeltap.payload_log.")]
    names = [
        row.replace("modeltap_payload_log_sent", "…_sent").replace(
            "modeltap_payload_log_queue_usage", "…_queue_usage"
        )
        for row in rows
    ]
    head = (
        b"POST / HTTP/1.1\r\nContent-Encoding: x\r\ntraceparent: 00-"
        + b"1" * 32
        + b"-"
        + b"1" * 16
        + b"-01\r\n\r\n"
    )
    found = changed(
        request_head=head, response_head=head, status=500, error_type="5xx", response_captured=True
    )
    origin = Origin("s", "s", "n", "c", "e")
    attributes = {"dataomitted", "datacontenttype"}
    for side in ("request", "response"):
        attributes |= Composer(origin, (), Redaction(()), None).event(found, side, "1")[0].attributes.keys()
    assert "contentencoding" in attributes
    words = [*flags, *names, *DROP_REASONS, *FAILURES, *OMITTED, *attributes]
    assert [word for word in words if word not in page] == []


def test_a_wrong_path_is_told_with_its_setting(tmp_path: Path) -> None:
    """A path that cannot be understood ends the start: nothing is logged that was to be masked."""
    with pytest.raises(ConfigError) as caught:
        load({"upstream": UPSTREAM, "payload_log_redact": ["a", "b..c"]}, {})
    (problem,) = caught.value.problems
    assert problem.startswith("--payload-log-redact: ['a', 'b..c']: expected a path such as ")
