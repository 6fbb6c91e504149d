"""Whose an exchange on /invocations is, by heads alone."""

import pytest

from exporter.decode import mlflow, sagemaker
from exporter.decode.invocations import shared, speaks_sagemaker
from tests.decode.exchanges import V1_PATH, exchange

JSON = "application/json"


def heads(request: str, response: str) -> dict[str, bytes]:
    return {
        "request_head": f"POST /invocations HTTP/1.1\r\n{request}\r\n\r\n".encode(),
        "response_head": f"HTTP/1.1 200 OK\r\n{response}\r\n\r\n".encode(),
    }


@pytest.mark.parametrize(
    ("request_line", "response_line", "theirs"),
    [
        (f"content-type: {JSON}", f"content-type: {JSON}", False),
        ("content-type: text/csv", f"content-type: {JSON}", False),
        (f"content-type: {JSON}", "Content-Type: text/csv; charset=utf-8", True),
        ("content-type: application/jsonlines", f"content-type: {JSON}", True),
        ("content-type: application/x-npy", f"content-type: {JSON}", True),
        ("x-amzn-SageMaker-Custom-Attributes: a", f"content-type: {JSON}", True),
        (f"content-type: {JSON}", "X-Amzn-SageMaker-Custom-Attributes: a", True),
        ("x-amzn-trace-id: a", f"content-type: {JSON}", False),
    ],
)
def test_heads(request_line: str, response_line: str, theirs: bool) -> None:
    """Fields of the platform, and media types that MLflow does not speak, say SageMaker; MLflow leaves those."""
    one = exchange("/invocations", b"", b"", **heads(request_line, response_line))
    assert shared(one)
    assert speaks_sagemaker(one) is theirs
    assert mlflow.claims(one) is not theirs
    assert sagemaker.claims(one)


def test_other_paths_are_not_shared() -> None:
    """Only /invocations leaves the dialect open; a labelled exchange is claimed by the one it names."""
    assert not shared(exchange(V1_PATH, b"", b""))
    assert not mlflow.claims(exchange(V1_PATH, b"", b""))
    assert not sagemaker.claims(exchange(V1_PATH, b"", b""))
    one = exchange("/models/m/invoke", b"", b"")
    assert (mlflow.claims(one), sagemaker.claims(one)) == (False, True)
    assert mlflow.claims(exchange("/x", b"", b"", protocol="mlflow", operation="predict"))
    assert not mlflow.claims(exchange("/x", b"", b"", protocol="mlflow", operation="metadata"))
