"""Exchange -> Observation, one file per dialect; any bytes give an Observation or a known reason why not.

To add a dialect: one file (NAME, `claims`, `decode`), one line in DIALECTS, one folder in tests/vectors/. Two that
share a path: the one that claims it reads the bodies, and hands over what only the other says (see `kserve_v1`).
"""

from typing import Final, Protocol, runtime_checkable

import msgspec

from exporter.decode import (
    kserve_v1,
    mlflow,
    open_inference_v2,
    openai,
    sagemaker,
    seldon_v1,
    tensorflow_serving,
    tgi,
    torchserve,
    triton_generate,
)
from exporter.decode.coding import plain
from exporter.records.exchange import Exchange
from exporter.records.observation import Observation, Undecodable


class Dialect(Protocol):
    """A module that reads one protocol's bodies. Called in the analysis process, from any thread; stateless.

    `NAME` is the protocol label. `claims` looks at labels and heads only, never raises. `decode` is called
    after the frame's refusals, with bodies whose content codings are undone; it raises Undecodable with one of
    REASONS and nothing else, within a time and a memory proportional to the bodies.
    """

    @property
    def NAME(self) -> str:
        """The protocol label."""

    def claims(self, exchange: Exchange) -> bool:
        """Whether this exchange speaks the dialect."""

    def decode(self, exchange: Exchange) -> Observation:
        """What the exchange says."""


@runtime_checkable
class Asking(Protocol):
    """A dialect whose requests have columns that can be told without an answer."""

    def request(self, exchange: Exchange) -> Observation:
        """What the request alone says, not `answered`; raises as `decode` does, where only an answer tells it too."""


# The first that claims an exchange decodes it.
DIALECTS: Final[tuple[Dialect, ...]] = (
    *(open_inference_v2, kserve_v1, tensorflow_serving),
    *(mlflow, sagemaker, seldon_v1, torchserve),
    *(openai, tgi, triton_generate),
)
# These take a stream that is not whole, and say so in what they make of it.
STREAMED: Final[tuple[Dialect, ...]] = (openai, tgi, triton_generate)

# Every reason of Undecodable: label values that exist from the start.
REASONS: Final = (
    # the frame's own
    *("not_captured", "not_2xx", "no_dialect"),
    *("content_coding", "coding_unsupported", "coding_bomb"),
    # a body that is not the message it should be
    *(
        "not_json",
        "too_deep",
        "too_many_values",
        "missing_field",
        "ambiguous_field",
        "wrong_type",
        "bad_name",
    ),
    # a tensor
    *("unknown_datatype", "bad_shape", "shape_mismatch", "ragged", "number_range"),
    *("binary_mismatch", "raw_tensor", "shared_memory"),
    # a table
    *("mixed_rows", "rows_differ", "too_sparse", "too_many_columns", "duplicate_column"),
    *("not_csv", "content_type", "opaque_body", "names_differ", "ambiguous_rows", "feedback", "error_answer"),
    # a stream
    "no_events",
    # a custom dialect
    "expression",
)


def observe(exchange: Exchange, dialects: tuple[Dialect, ...] = DIALECTS) -> Observation:
    """What the first dialect that claims the exchange understands of it; raises nothing but Undecodable.

    A dialect sees bodies without their content codings. What is captured is whole: nothing is read of a part, but of
    the streams that were followed.
    """
    whole = exchange.request_captured and exchange.response_captured
    if not whole and exchange.stream is None:
        raise Undecodable("not_captured")
    if not 200 <= exchange.status < 300:
        raise Undecodable("not_2xx")
    for dialect in dialects:
        if dialect.claims(exchange):
            if not whole and dialect not in STREAMED:
                break
            return dialect.decode(plain(exchange))
    raise Undecodable("no_dialect" if whole else "not_captured")


def failed(exchange: Exchange) -> bool:
    """Whether a model refused or failed a request that is there to be read; what was shed was never sent to one."""
    sent = exchange.error_type not in ("shed", "rejected")
    return 400 <= exchange.status < 600 and exchange.request_captured and sent


def observe_request(exchange: Exchange, dialects: tuple[Dialect, ...] = DIALECTS) -> Observation:
    """What the request of an exchange that `failed` says; Undecodable "not_2xx" where that cannot be told."""
    dialect = next((one for one in dialects if one.claims(exchange)), None)
    if not isinstance(dialect, Asking):
        raise Undecodable("not_2xx")
    try:
        return dialect.request(plain(msgspec.structs.replace(exchange, response_head=b"", response_body=b"")))
    except Undecodable as refusal:
        raise Undecodable("not_2xx") from refusal
