"""names.py: where the model's name is told, besides the path."""

import pytest

from exporter.analysis.names import told_name
from exporter.records.observation import Observation
from tests.decode.exchanges import exchange


@pytest.mark.parametrize(
    ("body", "request_field", "response_field", "name"),
    [
        ("iris", b"seldon-model: other", b"", "iris"),
        ("", b"Seldon-Model: iris_1", b"ce-modelid: x", "iris_1"),
        ("", b"mm-model-id: a\r\nmm-vmodel-id: alias", b"", "alias"),
        ("", b"x: y", b"Ce-Modelid: iris", "iris"),
        ("", b"seldon-model: a\tb", b"", ""),
        ("", b"x: y", b"", ""),
    ],
)
def test_name(body: str, request_field: bytes, response_field: bytes, name: str) -> None:
    """The body's word, then the request's fields, then the answer's; printable text only."""
    heads = {
        "request_head": b"POST / HTTP/1.1\r\n" + request_field + b"\r\n\r\n",
        "response_head": b"HTTP/1.1 200 OK\r\n" + response_field + b"\r\n\r\n",
    }
    assert told_name(exchange("/x", b"", b"", **heads), Observation("p", 1, (), (), body)) == name
