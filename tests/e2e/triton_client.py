"""Requests of the real Triton client: run by its environment's Python with the address to ask.

Knows nothing of the exporter and imports nothing of it. Prints, as JSON, what the client read of all answers: values by
output, and those of the inputs as it sent them.
"""

import json
import sys

import numpy as np
import tritonclient.http as triton

ROWS = 5
WORDS = ("red", "green", "blåhai")
# How one request is sent, and how the answer is asked for.
WAYS = {
    "binary": {},
    "json": {"binary": False},
    "gzip": {"request_compression_algorithm": "gzip"},
    "gzip both ways": {"request_compression_algorithm": "gzip", "response_compression_algorithm": "gzip"},
    "deflate": {"request_compression_algorithm": "deflate", "response_compression_algorithm": "deflate"},
    "all outputs": {"outputs": None},
    "some outputs in JSON": {"outputs": {"score": True, "half": True, "label": False, "count": True}},
}
OUTPUTS = dict.fromkeys(("score", "half", "label", "count"), True)


def tensors(number, binary):
    """The inputs of one request. FP16 can only be sent in binary."""
    x = (np.arange(2 * ROWS, dtype=np.float32).reshape(ROWS, 2) + number) / 4
    h = (np.arange(ROWS, dtype=np.float16).reshape(ROWS, 1) - number) / 2
    w = np.array([WORDS[(row + number) % 3] for row in range(ROWS)], dtype=np.object_)
    found = {"x": (x, "FP32", binary), "h": (h, "FP16", True), "w": (w, "BYTES", binary)}
    inputs = []
    for name, (values, datatype, packed) in found.items():
        one = triton.InferInput(name, values.shape, datatype)
        one.set_data_from_numpy(values, binary_data=packed)
        inputs.append(one)
    return inputs, {"x_0": x[:, 0], "x_1": x[:, 1], "h": h[:, 0], "w": w}


def text(value):
    """A cell as JSON."""
    return value.decode() if isinstance(value, bytes) else value


def main(address):
    """Send every way twice."""
    client = triton.InferenceServerClient(address)
    assert client.is_model_ready("mix")
    seen = {"inputs": {}, "outputs": {}, "requests": 0}
    for number in range(2):
        for place, asked in enumerate(WAYS.values()):
            options = dict(asked)
            inputs, sent = tensors(number + place, options.pop("binary", True))
            outputs = options.pop("outputs", OUTPUTS)
            wanted = outputs and [
                triton.InferRequestedOutput(name, binary_data=one) for name, one in outputs.items()
            ]
            answer = client.infer(
                "mix", inputs, outputs=wanted, request_id=f"r-{seen['requests']}", **options
            )
            for name in OUTPUTS:
                seen["outputs"].setdefault(name, []).extend(map(text, answer.as_numpy(name).tolist()))
            for name, values in sent.items():
                seen["inputs"].setdefault(name, []).extend(map(text, values.tolist()))
            seen["requests"] += 1
    print(json.dumps(seen))


if __name__ == "__main__":
    main(sys.argv[1])
