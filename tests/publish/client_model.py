"""Prometheus' schema as far as it is exported, built for google.protobuf: the oracle of the encoder."""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

_SCALARS = {
    "double": Field.TYPE_DOUBLE,
    "uint64": Field.TYPE_UINT64,
    "int64": Field.TYPE_INT64,
    "int32": Field.TYPE_INT32,
    "uint32": Field.TYPE_UINT32,
    "sint32": Field.TYPE_SINT32,
    "sint64": Field.TYPE_SINT64,
    "string": Field.TYPE_STRING,
}
# message -> fields: number, type ("*" in front: repeated), name
SCHEMA: dict[str, list[tuple[int, str, str]]] = {
    "LabelPair": [(1, "string", "name"), (2, "string", "value")],
    "Timestamp": [(1, "int64", "seconds"), (2, "int32", "nanos")],
    "Exemplar": [(1, "*LabelPair", "label"), (2, "double", "value"), (3, "Timestamp", "timestamp")],
    "Gauge": [(1, "double", "value")],
    "Counter": [(1, "double", "value"), (2, "Exemplar", "exemplar"), (3, "Timestamp", "created_timestamp")],
    "BucketSpan": [(1, "sint32", "offset"), (2, "uint32", "length")],
    "Bucket": [
        (1, "uint64", "cumulative_count"),
        (2, "double", "upper_bound"),
        (3, "Exemplar", "exemplar"),
    ],
    "Histogram": [
        (1, "uint64", "sample_count"),
        (2, "double", "sample_sum"),
        (3, "*Bucket", "bucket"),
        (5, "sint32", "schema"),
        (6, "double", "zero_threshold"),
        (7, "uint64", "zero_count"),
        (9, "*BucketSpan", "negative_span"),
        (10, "*sint64", "negative_delta"),
        (12, "*BucketSpan", "positive_span"),
        (13, "*sint64", "positive_delta"),
        (15, "Timestamp", "created_timestamp"),
    ],
    "Metric": [
        (1, "*LabelPair", "label"),
        (2, "Gauge", "gauge"),
        (3, "Counter", "counter"),
        (7, "Histogram", "histogram"),
    ],
    "MetricFamily": [
        (1, "string", "name"),
        (2, "string", "help"),
        (3, "int32", "type"),
        (4, "*Metric", "metric"),
    ],
}


def _built() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="client_model.proto", package="oracle", syntax="proto3")
    for name, fields in SCHEMA.items():
        message = file.message_type.add(name=name)
        for number, kind, field in fields:
            bare = kind.lstrip("*")
            label = Field.LABEL_REPEATED if kind != bare else Field.LABEL_OPTIONAL
            if bare in _SCALARS:
                message.field.add(name=field, number=number, label=label, type=_SCALARS[bare])
            else:
                message.field.add(
                    name=field,
                    number=number,
                    label=label,
                    type=Field.TYPE_MESSAGE,
                    type_name=f".oracle.{bare}",
                )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("oracle.MetricFamily"))


MetricFamily: Any = _built()


def families(body: bytes) -> list[Any]:
    """The length-delimited messages of a body; raises on anything that is none, unknown fields included."""
    found = []
    at = 0
    while at < len(body):
        size = shift = 0
        while True:
            byte = body[at]
            at += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        message = MetricFamily.FromString(body[at : at + size])
        at += size
        assert message.SerializeToString(deterministic=True) != b"" and not len(_unknown(message))
        found.append(message)
    return found


def _unknown(message: Any) -> list[int]:
    from google.protobuf import unknown_fields

    found = [field.field_number for field in unknown_fields.UnknownFieldSet(message)]
    for descriptor, value in message.ListFields():
        if descriptor.type == Field.TYPE_MESSAGE:
            for one in value if descriptor.is_repeated else [value]:
                found += _unknown(one)
    return found
