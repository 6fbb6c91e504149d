"""Whose an exchange on /invocations is, as far as its labels and heads tell: MLflow and SageMaker share that path.

A head says SageMaker by a field `X-Amzn-SageMaker-…`, which the platform hands on to the container and containers
answer with; or by a media type that MLflow's server neither reads nor writes. All else is left to the bodies.
"""

from typing import Final

from exporter.decode.heads import CSV, JSON_LINES, is_image, media_type
from exporter.records.exchange import Exchange

_AMAZON: Final = b"\r\nx-amzn-sagemaker-"
_REQUESTS: Final = JSON_LINES | {
    *("application/x-npy", "application/x-npz", "application/x-recordio-protobuf"),
    *("text/libsvm", "text/x-libsvm", "application/x-image"),
}
_ANSWERS: Final = _REQUESTS | CSV


def shared(exchange: Exchange) -> bool:
    """Whether the route table knows an inference request, but not its dialect: the path is /invocations."""
    return exchange.operation == "predict" and not exchange.protocol


def speaks_sagemaker(exchange: Exchange) -> bool:
    """Whether a head of an exchange on the shared path says SageMaker."""
    request, response = exchange.request_head, exchange.response_head
    return (
        _AMAZON in request.lower()
        or _AMAZON in response.lower()
        or media_type(request) in _REQUESTS
        or is_image(media_type(request))
        or media_type(response) in _ANSWERS
    )
