"""forms.py: the image of a form, or none; of any bytes, in work that is bounded by them."""

import pytest

from exporter.decode.forms import MAX_FIELDS, MAX_HEAD, form_image

GIF = b"GIF89a\5\0\4\0rest"
HEAD = b"POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=%s\r\n\r\n"
END = b"--b--\r\n"


def field(content: bytes, name: bytes = b"data", head: bytes = b"") -> bytes:
    line = b'Content-Disposition: form-data; filename="name=x"; name="%s"\r\n' % name
    return b"--b\r\n" + line + head + b"\r\n" + content + b"\r\n"


@pytest.mark.parametrize(
    ("body", "image"),
    [
        (field(GIF) + END, GIF),
        (field(GIF, b"photo") + END, GIF),
        (field(b"", b"empty") + field(GIF) + END, GIF),
        (field(b"1", b"data") + field(GIF, b"photo") + END, None),
        (field(GIF, b"one") + field(GIF + b"2", b"two") + END, None),
        (field(GIF + b"2", b"one") + field(GIF, b"body") + END, GIF),
        (field(GIF) + field(GIF + b"later") + END, GIF + b"later"),
        (field(GIF + b"\r\n--c\r\n") + END, GIF + b"\r\n--c\r\n"),
        (field(GIF, head=b"x-pad: " + b"x" * MAX_HEAD + b"\r\n") + END, None),
        (field(b"1", b"n") * (MAX_FIELDS - 2) + field(GIF) + END, GIF),
        (field(b"1", b"n") * MAX_FIELDS + field(GIF) + END, None),
        (END, None),
        (b"", None),
        (b"--b", None),
    ],
)
def test_image_of_a_form(body: bytes, image: bytes | None) -> None:
    """What handlers look at first, else the only image that is there; of a field told twice the last."""
    assert form_image(HEAD % b"b", body) == image


@pytest.mark.parametrize("boundary", [b'"b"', b"b ; charset=utf-8", b"b"])
def test_boundary_as_it_may_be_written(boundary: bytes) -> None:
    """Quoted or not, with further parameters or none."""
    assert form_image(HEAD % boundary, field(GIF) + END) == GIF


@pytest.mark.parametrize("boundary", [b"", b'""', b"x" * 200, b"c"])
def test_boundary_that_is_none(boundary: bytes) -> None:
    """None, an empty or too long one, and one that is not in the body: no image."""
    assert form_image(HEAD % boundary, field(GIF) + END) is None


def test_nothing_is_read_of_a_part() -> None:
    """A form that was cut anywhere before its end has no image: it may be half of one."""
    whole = field(b"1", b"n") + field(GIF) + END
    for cut in range(len(whole) - 2):
        assert form_image(HEAD % b"b", whole[:cut]) is None
