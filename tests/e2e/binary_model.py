"""A model server that answers in binary tensors, as Triton does: `python -m tests.e2e.binary_model PORT`.

One model, `mix`: FP32 x [n, 2], FP16 h [n, 1], BYTES w [n] -> FP32 score [n] (the sum of x), FP16 half [n] (h / 2),
BYTES label [n] (w in upper case), INT64 count [n]. Outputs are binary where the request asks for that, tensor by tensor
or for all. Content codings of requests are undone, and those that are accepted are used.
"""

import gzip
import json
import struct
import sys
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

LENGTH = "Inference-Header-Content-Length"
TYPES = {"FP32": np.dtype("<f4"), "FP16": np.dtype("<f2"), "INT64": np.dtype("<i8")}
UNDO = {"gzip": gzip.decompress, "deflate": zlib.decompress, "": bytes}
DO = {"gzip": gzip.compress, "deflate": zlib.compress}


def texts(raw: bytes) -> list[str]:
    """Strings behind their lengths."""
    found, at = [], 0
    while at < len(raw):
        (size,) = struct.unpack_from("<I", raw, at)
        found.append(raw[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return found


def packed(values: Any, datatype: str) -> bytes:
    """The bytes of a tensor."""
    if datatype == "BYTES":
        return b"".join(struct.pack("<I", len(one.encode())) + one.encode() for one in values)
    return np.asarray(values, TYPES[datatype]).tobytes()


def read(message: dict[str, Any], behind: bytes) -> dict[str, Any]:
    """Tensors by name, from the JSON or from the bytes behind it."""
    found: dict[str, Any] = {}
    for tensor in message["inputs"]:
        size = tensor.get("parameters", {}).get("binary_data_size")
        if size is None:
            values = tensor["data"]
        else:
            raw, behind = behind[:size], behind[size:]
            datatype = tensor["datatype"]
            values = texts(raw) if datatype == "BYTES" else np.frombuffer(raw, TYPES[datatype])
        found[tensor["name"]] = values
    assert behind == b"", "bytes are left over"
    return found


def answer(message: dict[str, Any], inputs: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The JSON of the answer and the tensors behind it."""
    x = np.asarray(inputs["x"], np.float32).reshape(-1, 2)
    outputs = {
        "score": ("FP32", x.sum(axis=1)),
        "half": ("FP16", np.asarray(inputs["h"], np.float16).reshape(-1) / 2),
        "label": ("BYTES", [one.upper() for one in inputs["w"]]),
        "count": ("INT64", np.arange(len(x))),
    }
    wanted = {one["name"]: one.get("parameters", {}) for one in message.get("outputs", [])}
    every = message.get("parameters", {}).get("binary_data_output", False)
    tensors, behind = [], b""
    for name, (datatype, values) in outputs.items():
        if wanted and name not in wanted:
            continue
        tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": [len(values)]}
        if wanted.get(name, {}).get("binary_data", every):
            raw = packed(values, datatype)
            tensor["parameters"] = {"binary_data_size": len(raw)}
            behind += raw
        else:
            tensor["data"] = values if isinstance(values, list) else values.tolist()
        tensors.append(tensor)
    said = {"id": message.get("id", ""), "model_name": "mix", "model_version": "3", "outputs": tensors}
    return said, behind


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1, kept open."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Ready."""
        self._send(b"{}", {})

    def do_POST(self) -> None:
        """One inference."""
        body = UNDO[self.headers.get("Content-Encoding", "")](
            self.rfile.read(int(self.headers["Content-Length"]))
        )
        size = int(self.headers.get(LENGTH, len(body)))
        message = json.loads(body[:size])
        said, behind = answer(message, read(message, body[size:]))
        head = json.dumps(said).encode()
        fields = {LENGTH: str(len(head)), "Content-Type": "application/octet-stream"} if behind else {}
        whole = head + behind
        coding = self.headers.get("Accept-Encoding", "")
        if coding in DO:
            whole, fields["Content-Encoding"] = DO[coding](whole), coding
        self._send(whole, fields)

    def _send(self, body: bytes, fields: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {"Content-Length": str(len(body)), **fields}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
