"""A tiny model server in threads of the test: answers V2 inference at once, the model `slow` in two parts.

The second part is sent when `release` is set, so a test decides how long an exchange is under way.
"""

import socketserver
import threading
from typing import Self

ANSWER = (
    b'{"model_name":"echo","model_version":"1","outputs":'
    b'[{"name":"predict","shape":[1],"datatype":"FP64","data":[1.5]}]}'
)
SLOW = "/v2/models/slow/infer"
SLOW_PARTS = (ANSWER[:40], ANSWER[40:])


class Upstream:
    """Listens on a loopback port of its own and answers as that model; a context manager."""

    def __init__(self, model: str = "echo") -> None:
        self.whole = ANSWER.replace(b"echo", model.encode())
        self.release = threading.Event()
        self.begun = threading.Event()  # a slow answer is half way
        upstream = self

        class Connection(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                upstream.serve(self)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Connection)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def serve(self, connection: socketserver.StreamRequestHandler) -> None:
        """Every request of one connection."""
        try:
            while head := self._head(connection):
                size = next((line for line in head if line.lower().startswith(b"content-length:")), b":0")
                connection.rfile.read(int(size.partition(b":")[2]))
                self._answer(connection, slow=SLOW.encode() in head[0])
        except OSError:
            return  # the other side left, as it may

    @staticmethod
    def _head(connection: socketserver.StreamRequestHandler) -> list[bytes]:
        lines = []
        while (line := connection.rfile.readline()) not in (b"", b"\r\n"):
            lines.append(line)
        return lines

    def _answer(self, connection: socketserver.StreamRequestHandler, slow: bool) -> None:
        first, second = SLOW_PARTS if slow else (self.whole, b"")
        size = len(first) + len(second)
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n"
        connection.wfile.write(head.encode() + first)
        if slow:
            self.begun.set()
            self.release.wait(60)
            connection.wfile.write(second)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
