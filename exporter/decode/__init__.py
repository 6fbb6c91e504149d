"""Exchange -> Observation, one file per dialect; any bytes give an Observation or a known reason why not.

To add a dialect: one file (NAME, `claims`, `decode`), one line in DIALECTS, one folder in tests/vectors/.
"""

from typing import Final, Protocol

from exporter.decode import kserve_v1, open_inference_v2
from exporter.records.exchange import Exchange, header
from exporter.records.observation import Observation, Undecodable


class Dialect(Protocol):
    """A module that reads one protocol's bodies. Called in the analysis process, from any thread; stateless.

    `NAME` is the protocol label. `claims` looks at labels and heads only, never raises. `decode` is called
    after the frame's refusals; it raises Undecodable with one of REASONS and nothing else, within a time and
    a memory proportional to the bodies.
    """

    @property
    def NAME(self) -> str:
        """The protocol label."""

    def claims(self, exchange: Exchange) -> bool:
        """Whether this exchange speaks the dialect."""

    def decode(self, exchange: Exchange) -> Observation:
        """What the exchange says."""


# The first that claims an exchange decodes it.
DIALECTS: Final[tuple[Dialect, ...]] = (open_inference_v2, kserve_v1)

# Every reason of Undecodable: label values that exist from the start. The first four are the frame's own.
REASONS: Final = (
    *("not_captured", "content_coding", "not_2xx", "no_dialect"),
    *("not_json", "too_deep", "missing_field", "ambiguous_field", "wrong_type", "bad_name"),
    *(
        "unknown_datatype",
        "bad_shape",
        "shape_mismatch",
        "ragged",
        "number_range",
        "binary_tensors",
        "shared_memory",
    ),
    *("mixed_rows", "rows_differ", "too_sparse", "too_many_columns", "duplicate_column"),
)


def observe(exchange: Exchange, dialects: tuple[Dialect, ...] = DIALECTS) -> Observation:
    """What the first dialect that claims the exchange understands of it; raises nothing but Undecodable."""
    if not (exchange.request_captured and exchange.response_captured):
        raise Undecodable("not_captured")
    if _coded(exchange.request_head) or _coded(exchange.response_head):
        raise Undecodable("content_coding")
    if not 200 <= exchange.status < 300:
        raise Undecodable("not_2xx")
    for dialect in dialects:
        if dialect.claims(exchange):
            return dialect.decode(exchange)
    raise Undecodable("no_dialect")


def _coded(head: bytes) -> bool:
    try:
        return header(head, b"content-encoding").lower() not in (b"", b"identity")
    except ValueError:
        # A head cut inside the field: what it would have said is unknown.
        return True
