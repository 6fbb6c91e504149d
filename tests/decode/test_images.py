"""images.py: what is told of an image, judged by Pillow; nothing raises, whatever the bytes are."""

import base64
import io
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from exporter.decode import images, observe
from exporter.decode.images import MAX_PIXELS, MAX_SEGMENTS, base64_columns, header, image_columns
from exporter.records.observation import Column, aspect_name
from exporter.stats import aspects
from tests.decode.exchanges import exchange
from tests.decode.laws import keeps

FORMATS = ("png", "jpeg", "gif", "webp")
SIZES = ((1, 1), (3, 2), (300, 17), (17, 300))


def picture(form: str, size: tuple[int, int] = (30, 20), mode: str = "RGB", **options: Any) -> bytes:
    """An image file with a gradient in it."""
    rng = np.random.default_rng(size[0])
    pixels = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(out, form.upper(), **options)
    return out.getvalue()


FILES: list[tuple[str, bytes]] = [
    *[(form, picture(form, size)) for form in FORMATS for size in SIZES],
    ("webp", picture("webp", lossless=True)),
    ("webp", picture("webp", mode="RGBA", exif=b"Exif\0\0")),
    ("jpeg", picture("jpeg", progressive=True, icc_profile=bytes(70_000), comment=b"x" * 3000)),
    ("jpeg", picture("jpeg", mode="L")),
    ("png", picture("png", mode="P")),
    ("png", picture("png", mode="RGBA")),
    ("gif", picture("gif", mode="L")),
]


def values(columns: list[Column]) -> dict[str, list[Any]]:
    return {column.name.rpartition(":")[2]: column.values.tolist() for column in columns}


@pytest.mark.parametrize(("form", "data"), FILES)
def test_headers_by_pillow(form: str, data: bytes) -> None:
    """Format and size are those that Pillow reads."""
    found = header(data)
    with Image.open(io.BytesIO(data)) as opened:
        assert found == (form, *opened.size)
        assert opened.format == form.upper()


@pytest.mark.parametrize(("form", "data"), FILES)
def test_brightness_and_contrast(form: str, data: bytes) -> None:
    """Mean and deviation of the grey levels; JPEG's are of an eighth, so their mean is close and no more."""
    found = values(image_columns("x", [data]))
    with Image.open(io.BytesIO(data)) as opened:
        grey = np.asarray(opened.convert("L")) / 255.0
    assert found["brightness"] == pytest.approx([grey.mean()], abs=0.05 if form == "jpeg" else 1e-12)
    if form != "jpeg":
        assert found["contrast"] == pytest.approx([grey.std()], abs=1e-12)
    assert found["bytes"] == [len(data)]


def test_names_are_those_of_the_aspects() -> None:
    """Decoders and statistics call an aspect by one name, and an image's are those that are listed."""
    columns = image_columns("x", [picture("png")])
    assert [column.name for column in columns] == [
        aspect_name("x", word) for word in aspects.ASPECTS["image"]
    ]
    assert aspect_name("a", "b") == aspects.aspect_name("a", "b")


def test_cells_that_are_no_images_are_null() -> None:
    """In a column with an image, all else is null in every aspect; without one there are no columns."""
    columns = image_columns("x", [None, picture("gif"), b"text", b"\x89PNG\r\n\x1a\n"])
    for column in columns:
        assert column.nulls == 3
        keeps(column, 4)
    assert image_columns("x", [b"", None]) == []
    assert image_columns("x", []) == []


def test_pixels_are_bounded() -> None:
    """Images over the bound have no brightness; those before and behind it have."""
    flat = io.BytesIO()
    Image.new("L", (MAX_PIXELS // 1024 + 1, 1024)).save(flat, "PNG")
    found = values(image_columns("x", [picture("png"), flat.getvalue(), picture("png")]))
    assert np.isnan(found["brightness"]).tolist() == [False, True, False]
    assert found["height"] == [20, 1024, 20]


def test_a_file_with_two_sizes_is_not_decoded() -> None:
    """The size that is checked is that of the decoder too: what the first header says may not be what follows."""
    small, large = picture("jpeg", (8, 8)), io.BytesIO()
    Image.new("L", (4096, 4096)).save(large, "JPEG")
    frame = small[small.index(b"\xff\xc0") :][: 2 + 17]
    found = image_columns("x", [small[:2] + frame + large.getvalue()[2:]])
    assert values(found)["width"] == [8]
    for column in found:
        keeps(column, 1)


def test_without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The header's aspects need no library."""
    monkeypatch.setattr(images, "_pillow", lambda: None)
    assert set(values(image_columns("x", [picture("webp")]))) == {"format", "width", "height", "bytes"}


def test_segments_are_bounded() -> None:
    """A header of endless small segments is given up."""
    data = b"\xff\xd8" + b"\xff\xe1\x00\x02" * (MAX_SEGMENTS + 1) + picture("jpeg")[2:]
    assert header(data) is None


def mutants(data: bytes, seed: int) -> list[bytes]:
    rng = random.Random(seed)
    cut = [data[: rng.randrange(len(data))] for _ in range(20)]
    changed = []
    for _ in range(60):
        other = bytearray(data)
        for _ in range(rng.randrange(1, 8)):
            other[rng.randrange(min(len(other), 400))] = rng.randrange(256)
        changed.append(bytes(other))
    return cut + changed


@pytest.mark.parametrize("place", range(len(FILES)))
def test_broken_files_raise_nothing(place: int) -> None:
    """Truncated and altered files give columns that keep their contract, or none."""
    for data in mutants(FILES[place][1], place):
        for column in image_columns("x", [data, None]):
            keeps(column, 2)


@given(st.lists(st.none() | st.binary() | st.sampled_from([data[:60] for _, data in FILES]), max_size=4))
def test_any_bytes(cells: list[bytes | None]) -> None:
    """Whatever the bytes are, columns keep their contract."""
    for column in image_columns("n" * 200, cells):
        keeps(column, len(cells))


@given(st.lists(st.none() | st.text() | st.integers() | st.just("iVBORw0KGgo="), max_size=4))
def test_any_base64(cells: list[Any]) -> None:
    """What is no base64 is no image."""
    assert base64_columns("x", cells) == []


def _torchserve(data: bytes) -> Any:
    return exchange("/predictions/m", data, b'{"a": 0.9, "b": 0.1}', request_head=b"POST / HTTP/1.1\r\n\r\n")


def _b64(data: bytes) -> Any:
    body = b'{"instances": [{"b64": "%s"}]}' % base64.b64encode(data)
    return exchange("/v1/models/m:predict", body, b'{"predictions": [1]}')


def _text(data: bytes) -> Any:
    body = b'{"instances": [{"data": "%s"}]}' % base64.b64encode(data)
    return exchange("/v1/models/m:predict", body, b'{"predictions": [1]}')


def _bytes(data: bytes) -> Any:
    size = len(data) + 4
    text = (
        b'{"inputs":[{"name":"i","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":%d}}]}'
        % size
    )
    answer = b'{"model_name":"m","outputs":[{"name":"y","shape":[1],"datatype":"FP32","data":[0.5]}]}'
    head = b"POST / HTTP/1.1\r\ninference-header-content-length: %d\r\n\r\n" % len(text)
    body = text + len(data).to_bytes(4, "little") + data
    return exchange("/v2/models/m/infer", body, answer, request_head=head)


def _sagemaker(data: bytes) -> Any:
    head = b"POST /invocations HTTP/1.1\r\ncontent-type: image/png\r\n\r\n"
    return exchange("/invocations", data, b'{"predictions": [[0.9, 0.1]]}', request_head=head)


@pytest.mark.parametrize("made", [_torchserve, _b64, _text, _bytes, _sagemaker])
@pytest.mark.parametrize("form", FORMATS)
def test_where_images_travel(made: Callable[[bytes], Any], form: str) -> None:
    """Raw bodies, {"b64": …}, base64 texts and BYTES tensors give the same columns but for the column's name."""
    found = values(list(observe(made(picture(form))).inputs))
    assert (found["format"], found["width"], found["height"]) == ([form], [30], [20])
