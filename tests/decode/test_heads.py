"""Heads: media types."""

import pytest

from exporter.decode.heads import is_json, media_type


def head(lines: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\n" + lines + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("lines", "media"),
    [
        (b"Content-Type: Application/JSON; charset=utf-8", "application/json"),
        (b"content-type:text/csv;header=present", "text/csv"),
        (b"content-type: ", ""),
        (b"host: model", ""),
        (b"content-type: \xff", ""),
        (b"x-content-type: text/csv", ""),
    ],
)
def test_media_type(lines: bytes, media: str) -> None:
    """The media type is lower-case and without parameters; what is no text is none."""
    assert media_type(head(lines)) == media


def test_json_by_media_type() -> None:
    """JSON is told by name or by suffix."""
    assert [is_json(media) for media in ("application/json", "application/vnd.x+json", "", "text/plain")] == [
        *(True, True, False, False)
    ]
