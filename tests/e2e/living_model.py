"""A V2 model server with a life: it listens at once, is ready after a while, and loads other versions when it is told.

Run as `python -m tests.e2e.living_model PORT VERSION LOADING_SECONDS`. POST /v2/repository/models/echo/load with
{"parameters": {"version": "2"}} takes a moment and answers when that version is in use.
"""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOAD_SECONDS = 0.1
READY, INFER, LOAD = "/v2/models/echo/ready", "/v2/models/echo/infer", "/v2/repository/models/echo/load"


class Handler(BaseHTTPRequestHandler):
    """Every request, whatever thread it comes in."""

    protocol_version = "HTTP/1.1"
    version = "1"
    ready = threading.Event()

    def do_GET(self) -> None:
        """200 on a path that there is, as soon as the model is loaded."""
        if self.path in (READY, "/v2/health/ready"):
            self._say(200 if self.ready.is_set() else 503, {})
        else:
            self._say(200 if self.path == "/v2/health/live" else 404, {})

    def do_POST(self) -> None:
        """Inference, and loads."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == LOAD:
            time.sleep(LOAD_SECONDS)
            type(self).version = body["parameters"]["version"]
            self._say(200, {})
        elif self.path == INFER and self.ready.is_set():
            output = {"name": "predict", "shape": [1], "datatype": "INT64", "data": [1]}
            self._say(200, {"model_name": "echo", "model_version": self.version, "outputs": [output]})
        else:
            self._say(503, {"error": "not ready"})

    def log_message(self, format: str, *args: object) -> None:
        """Probes are many."""

    def _say(self, status: int, answer: dict[str, object]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main(port: int, version: str, loading: float) -> None:
    """Serve until killed."""
    Handler.version = version
    threading.Timer(loading, Handler.ready.set).start()
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
