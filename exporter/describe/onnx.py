"""ONNX: a ModelProto, read by hand: operators, inputs, outputs, metadata. Weights are stepped over, however large.

Numbers of fields are those of onnx/onnx.proto; the encoding is that of protobuf.dev, Encoding.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, NamedTuple

from exporter.describe.description import Description, describe
from exporter.records.problems import Problems

NAMES: Final = ("*.onnx",)
MAX_FIELDS: Final = 1_000_000
MAX_TEXT: Final = 65_536
# Of TensorProto.DataType.
_TYPES: Final = (
    *("UNDEFINED", "FLOAT", "UINT8", "INT8", "UINT16", "INT16", "INT32", "INT64", "STRING", "BOOL"),
    *("FLOAT16", "DOUBLE", "UINT32", "UINT64", "COMPLEX64", "COMPLEX128", "BFLOAT16"),
)
_IDENTITY: Final = ("name", "version", "owner", "team", "run_id", "checkpoint")


class Field(NamedTuple):
    """`value` of a number; where a text or message begins and ends otherwise."""

    number: int
    value: int
    start: int
    end: int


def read(stream: BinaryIO) -> Description:
    """Metadata of these names is the identity; other metadata are hyper-parameters."""
    return Model(stream).description()


class Model:
    """A file in hand. Every field is stepped over unless it is asked for."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = MAX_FIELDS

    def description(self) -> Description:
        """Of the whole file."""
        model: dict[int, int | str] = {}
        metadata: dict[str, str] = {}
        opsets: dict[str, int] = {}
        graph: dict[str, Any] = {}
        for field in self._fields(0, self._stream.seek(0, 2)):
            if field.number == 7 and field.end:
                graph = self._graph(field)
            elif field.number in (2, 3, 4, 6):
                model[field.number] = self._text(field)
            elif field.number in (1, 5):
                model[field.number] = field.value
            elif field.number == 8:
                parts = {part.number: part for part in self._inside(field)}
                domain = self._text(parts[1]) if 1 in parts else ""
                opsets[domain or "ai.onnx"] = parts[2].value if 2 in parts else 0
            elif field.number == 14:
                parts = {part.number: part for part in self._inside(field)}
                metadata[self._text(parts.get(1))] = self._text(parts.get(2))
        if 1 not in model or not graph:
            raise Problems([": no version or no graph, expected an ONNX model"])
        return _described(model, metadata, opsets, graph)

    def _graph(self, graph: Field) -> dict[str, Any]:
        operators: Counter[str] = Counter()
        name, weights = "", 0
        sides: dict[int, list[dict[str, Any]]] = {11: [], 12: []}
        initial: set[str] = set()
        for field in self._inside(graph):
            if field.number == 1:
                operators[self._only(field, 4)] += 1
            elif field.number == 2:
                name = self._text(field)
            elif field.number == 5:
                weights += field.end - field.start
                initial.add(self._only(field, 8))
            elif field.number in sides:
                sides[field.number].append(self._value(field))
        inputs = [one for one in sides[11] if one["name"] not in initial]
        shape = {"graph": name, "operators": dict(sorted(operators.items())), "weight_bytes": weights}
        return {"inputs": inputs, "outputs": sides[12], "architecture": shape}

    def _value(self, value: Field) -> dict[str, Any]:
        """A ValueInfoProto: name, type.tensor_type.{elem_type, shape.dim.{dim_value, dim_param}}."""
        found: dict[str, Any] = {"name": ""}
        for field in self._inside(value):
            if field.number == 1:
                found["name"] = self._text(field)
            elif field.number == 2:
                for tensor in (part for part in self._inside(field) if part.number == 1):
                    for part in self._inside(tensor):
                        if part.number == 1:
                            code = part.value
                            found["type"] = _TYPES[code] if code < len(_TYPES) else str(code)
                        elif part.number == 2:
                            found["shape"] = [self._dimension(dim) for dim in self._inside(part)]
        return found

    def _dimension(self, dimension: Field) -> int | str:
        for part in self._inside(dimension):
            if part.number == 1:
                return part.value
            if part.number == 2:
                return self._text(part)
        return "?"

    def _only(self, message: Field, number: int) -> str:
        return next((self._text(field) for field in self._inside(message) if field.number == number), "")

    def _text(self, field: Field | None) -> str:
        if field is None:
            return ""
        self._stream.seek(field.start)
        return self._stream.read(min(field.end - field.start, MAX_TEXT)).decode("utf-8", "replace")

    def _inside(self, field: Field) -> Iterator[Field]:
        if not field.end:
            raise Problems([f": byte {field.start}: a number, expected a message"])
        return self._fields(field.start, field.end)

    def _fields(self, place: int, end: int) -> Iterator[Field]:
        while place < end:
            self._left -= 1
            if self._left < 0:
                raise Problems([f": more than {MAX_FIELDS} fields, expected fewer"])
            key, place = self._varint(place, end)
            number, wire = key >> 3, key & 7
            if wire == 0:
                value, after = self._varint(place, end)
                yield Field(number, value, place, 0)
            elif wire == 2:
                length, start = self._varint(place, end)
                after = start + length
                if after <= end:
                    yield Field(number, 0, start, after)
            elif wire in (1, 5):
                after = place + (8 if wire == 1 else 4)
            else:
                raise Problems([f": byte {place}: wire type {wire}, expected an ONNX model"])
            if after > end or not number:
                raise Problems([f": byte {place}: cut short, expected an ONNX model"])
            place = after

    def _varint(self, place: int, end: int) -> tuple[int, int]:
        self._stream.seek(place)
        value = shift = 0
        for byte in self._stream.read(min(10, end - place)):
            value |= (byte & 0x7F) << shift
            place += 1
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, place
            shift += 7
        raise Problems([f": byte {place}: cut short, expected an ONNX model"])


def _described(
    model: dict[int, int | str], metadata: dict[str, str], opsets: dict[str, int], graph: dict[str, Any]
) -> Description:
    identity: dict[str, Any] = {key: metadata.get(key) for key in _IDENTITY}
    identity["version"] = identity["version"] or model.get(5) or None
    producer = {"producer": model.get(2), "producer_version": model.get(3), "domain": model.get(4)}
    return describe(
        {
            **identity,
            "architecture": graph["architecture"] | {"outputs": graph["outputs"]},
            "hyperparameters": {key: value for key, value in metadata.items() if key not in _IDENTITY},
            "features": [one for one in graph["inputs"] if one["name"]],
            "environment": {key: value for key, value in producer.items() if value}
            | {"ir_version": model[1], "opsets": opsets},
        },
        "onnx",
    )
