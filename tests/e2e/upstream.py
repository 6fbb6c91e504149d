"""A small fast model server: one class per row for each V2 inference request, and the trace context it got.

Run as `python -m tests.e2e.upstream PORT`. The `traceparent` that arrived goes back in `x-seen-traceparent`; a request
whose first input is called `fail` does.
It reads requests with Content-Length only, and trusts them: it stands behind the sidecar.
"""

import asyncio
import json
import sys

CLASSES = 3
FAILED = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\n{}"
READY = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


class Connection(asyncio.Protocol):
    """One connection; requests are answered in the order in which they are complete."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer on."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete now."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            fields = _fields(self._buffer[:end])
            stop = end + 4 + int(fields.get("content-length", "0"))
            if len(self._buffer) < stop:
                return
            answer = _answer(fields, self._buffer[end + 4 : stop])
            self._buffer = self._buffer[stop:]
            assert self._transport is not None
            self._transport.write(answer)


def _fields(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _answer(fields: dict[str, str], body: bytes) -> bytes:
    if not body:
        return READY
    (first, *_) = json.loads(body)["inputs"]
    if first["name"] == "fail":
        return FAILED
    rows = first["shape"][0]
    data = [n % CLASSES for n in range(rows)]
    output = {"name": "predict", "shape": [rows], "datatype": "INT64", "data": data}
    answer = json.dumps({"model_name": "echo", "model_version": "1", "outputs": [output]}).encode()
    seen = fields.get("traceparent", "")
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(answer)}\r\n"
    return f"{head}x-seen-traceparent: {seen}\r\n\r\n".encode() + answer


async def main(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
