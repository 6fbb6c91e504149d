"""A model server to be wrapped: `wrapped_model.py PORT [WORDS…]`; it does as its words and its requests say.

`POST /…` is answered as V2 inference; `GET /exit?N` ends it with status N, `GET /grow` has a worker that outlives it,
`GET /swell` takes memory until somebody ends it.
Words: `late` listens after a while, `stubborn` ignores SIGTERM, `loud` writes without end, `fails` ends at once.
"""

import http.server
import os
import signal
import subprocess
import sys
import threading
import time

ANSWER = (
    b'{"model_name":"echo","model_version":"1","outputs":'
    b'[{"name":"predict","shape":[1],"datatype":"FP64","data":[1.5]}]}'
)
port, words = int(sys.argv[1]), sys.argv[2:]


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def do_POST(self) -> None:
        """A prediction; as long as `slow` is in the path, a late one."""
        self.rfile.read(int(self.headers["content-length"]))
        if "slow" in self.path:
            print("INFO:     slow", flush=True)
            time.sleep(1)
        self._answer(ANSWER)

    def do_GET(self) -> None:
        """Whatever is asked for."""
        if self.path.startswith("/grow"):
            child = subprocess.Popen(["sleep", "600"], close_fds=False)
            self._answer(str(child.pid).encode())
        elif self.path.startswith("/swell"):
            held = []
            while True:
                held.append(b"x" * (8 << 20))
        elif self.path.startswith("/exit"):
            self._answer(b"")
            os._exit(int(self.path.partition("?")[2]))
        else:
            self._answer(b"ok")

    def log_message(self, *_: object) -> None:
        """Nothing for each request."""


def told(number: int, _frame: object) -> None:
    """A signal that came."""
    print(f"WARNING:  {signal.Signals(number).name} came", flush=True)


def shout() -> None:
    """Write for ever."""
    while True:
        os.write(1, b"INFO:     loud\n" * 1000)


print("INFO:     starting", flush=True)
print("ERROR:root:none", file=sys.stderr, flush=True)
if "fails" in words:
    sys.exit(3)
for number in (signal.SIGUSR1, signal.SIGHUP):
    signal.signal(number, told)
if "stubborn" in words:
    signal.signal(signal.SIGTERM, told)
if "late" in words:
    time.sleep(0.3)
http.server.ThreadingHTTPServer.allow_reuse_address = True
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
for descriptor in (server.fileno(),):
    os.set_inheritable(descriptor, True)  # a worker holds the port, as workers do
if "loud" in words:
    threading.Thread(target=shout, daemon=True).start()
server.serve_forever()
