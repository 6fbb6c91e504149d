"""Open Inference Protocol V2 and KServe V1, as the demo's model server reads and answers them.

Bytes in, arrays and JSON values out; no sockets and no model. Bodies are read here independently of
`decode/`, so that the sidecar's decoders meet a server that does not share their mistakes. Sources:
kserve/open-inference-protocol inference_rest.md; kserve/website v1-protocol.md.
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.demo.model import PREDICTED_LABEL, PROBABILITY

_NUMBERS = frozenset(
    f"{kind}{bits}" for kind, sizes in (("INT", (8, 16, 32, 64)), ("UINT", (8, 16, 32, 64))) for bits in sizes
) | {"FP16", "FP32", "FP64"}


class BadRequest(Exception):
    """The body cannot be served; the message says where it is wrong and what was expected."""


@dataclass(frozen=True, slots=True, eq=False)
class InferRequest:
    """A V2 request: rows float64 [n, features]; `id` is "" where the caller gave none."""

    rows: NDArray[np.float64]
    id: str


def read_v2(body: bytes, features: tuple[str, ...]) -> InferRequest:
    """One input per feature, each [n] or [n, 1], or a single dense [n, features]; data flat or nested."""
    document = _document(body)
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or not inputs or not all(isinstance(item, dict) for item in inputs):
        raise BadRequest("inputs: expected a non-empty list of tensors")
    identity = document.get("id", "")
    if not isinstance(identity, str):
        raise BadRequest("id: expected a string")
    tensors = {str(item.get("name")): _tensor(item, index) for index, item in enumerate(inputs)}
    if len(inputs) == 1 and next(iter(tensors)) not in features:
        rows = next(iter(tensors.values()))
        if rows.ndim != 2 or rows.shape[1] != len(features):
            raise BadRequest(f"inputs[0].shape: expected [n, {len(features)}], found {list(rows.shape)}")
        return InferRequest(rows, identity)
    _same_names(set(tensors), features, "inputs")
    columns = [tensors[name].reshape(-1) for name in features]
    if len({len(column) for column in columns}) != 1:
        raise BadRequest("inputs: the columns differ in length")
    return InferRequest(np.stack(columns, axis=1), identity)


def read_v1(body: bytes, features: tuple[str, ...]) -> NDArray[np.float64]:
    """Exactly one of `instances` and `inputs`: rows, each a list in column order or an object by name."""
    document = _document(body)
    given = [key for key in ("instances", "inputs") if key in document]
    if len(given) != 1:
        raise BadRequest('expected exactly one of "instances" and "inputs"')
    instances = document[given[0]]
    if not isinstance(instances, list) or not instances:
        raise BadRequest(f"{given[0]}: expected a non-empty list of rows")
    return _floats([_row(row, features, f"{given[0]}[{i}]") for i, row in enumerate(instances)], given[0])


def answer_v2(
    request: InferRequest, name: str, version: str, outputs: tuple[NDArray[np.float64], NDArray[np.int64]]
) -> dict[str, Any]:
    """The V2 answer: `probability` FP64 [n] and `label` INT64 [n]; the id is echoed."""
    probability, label = outputs
    rows = [len(probability)]
    answer: dict[str, Any] = {"model_name": name, "model_version": version}
    if request.id:
        answer["id"] = request.id
    answer["outputs"] = [
        {"name": PROBABILITY, "shape": rows, "datatype": "FP64", "data": probability.tolist()},
        {"name": PREDICTED_LABEL, "shape": rows, "datatype": "INT64", "data": label.tolist()},
    ]
    return answer


def answer_v1(outputs: tuple[NDArray[np.float64], NDArray[np.int64]]) -> dict[str, Any]:
    """The V1 answer: one object per row, with the same two outputs under the same names as in V2."""
    pairs = zip(outputs[0].tolist(), outputs[1].tolist(), strict=True)
    return {"predictions": [{PROBABILITY: p, PREDICTED_LABEL: y} for p, y in pairs]}


def metadata_v2(name: str, version: str, features: tuple[str, ...]) -> dict[str, Any]:
    """What `GET /v2/models/{m}` tells: the tensors that the model takes and gives."""
    outputs = ((PROBABILITY, "FP64"), (PREDICTED_LABEL, "INT64"))
    return {
        "name": name,
        "versions": [version],
        "platform": "sklearn",
        "inputs": [{"name": feature, "datatype": "FP64", "shape": [-1]} for feature in features],
        "outputs": [{"name": output, "datatype": datatype, "shape": [-1]} for output, datatype in outputs],
    }


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise BadRequest(f"body: not JSON: {error}") from error
    if not isinstance(document, dict):
        raise BadRequest("body: expected a JSON object")
    return document


def _tensor(item: dict[str, Any], index: int) -> NDArray[np.float64]:
    where = f"inputs[{index}]"
    if item.get("datatype") not in _NUMBERS:
        raise BadRequest(f"{where}.datatype: expected a numeric datatype, found {item.get('datatype')!r}")
    shape, data = item.get("shape"), item.get("data")
    if not isinstance(shape, list) or not all(type(side) is int and side >= 0 for side in shape):
        raise BadRequest(f"{where}.shape: expected a list of sizes")
    values = _floats(data, f"{where}.data").reshape(-1)
    if values.size != int(np.prod(shape, dtype=np.int64)):
        raise BadRequest(f"{where}.data: expected {shape} values, found {values.size}")
    return values.reshape(shape)


def _row(row: object, features: tuple[str, ...], where: str) -> list[Any]:
    if isinstance(row, dict):
        _same_names(set(row), features, where)
        return [row[name] for name in features]
    if not isinstance(row, list) or len(row) != len(features):
        raise BadRequest(f"{where}: expected a list of {len(features)} values or an object")
    return row


def _same_names(found: set[str], features: tuple[str, ...], where: str) -> None:
    missing, unknown = sorted(set(features) - found), sorted(found - set(features))
    if missing or unknown:
        raise BadRequest(f"{where}: missing columns {missing}, unknown columns {unknown}")


def _floats(data: object, where: str) -> NDArray[np.float64]:
    try:
        values = np.asarray(data, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadRequest(f"{where}: expected numbers in a rectangle") from error
    if values.ndim == 0 or not np.isfinite(values).all():
        raise BadRequest(f"{where}: expected finite numbers")
    return values
