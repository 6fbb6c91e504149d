"""What travels between a data-plane worker and the analysis, and how it is written: msgpack behind its length."""

import msgspec

from exporter.records.exchange import Exchange


class Batch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the data plane sends."""

    number: int
    exchanges: list[Exchange]


class Ack(msgspec.Struct, frozen=True, array_like=True, tag="ack"):
    """The analysis processed the batch of that number."""

    number: int


class Learned(msgspec.Struct, frozen=True, array_like=True, tag="learned"):
    """The version that the analysis last saw confirmed for each model name."""

    versions: dict[str, str]


class Sampling(msgspec.Struct, frozen=True, array_like=True, tag="sampling"):
    """The share of exchanges that the analysis can afford within its CPU budget."""

    rate: float


Control = Ack | Learned | Sampling
_encoder = msgspec.msgpack.Encoder()
_batches = msgspec.msgpack.Decoder(Batch)
_controls: "msgspec.msgpack.Decoder[Control]" = msgspec.msgpack.Decoder(Control)


def frame(payload: bytes) -> bytes:
    """The payload with its length before it."""
    return len(payload).to_bytes(4, "little") + payload


def encode_batch(batch: Batch) -> bytes:
    """A frame for the analysis. TypeError, ValueError or OverflowError for what msgpack cannot hold."""
    return frame(_encoder.encode(batch))


def encode_control(message: Control) -> bytes:
    """A frame for the data plane."""
    return frame(_encoder.encode(message))


def decode_control(payload: bytes) -> Control:
    """What `encode_control` wrote."""
    return _controls.decode(payload)


def decode_batch(payload: bytes) -> Batch:
    """What `Sender.flush` wrote."""
    return _batches.decode(payload)
