"""A webhook receiver as a pager has it: keeps what Alertmanager posts, in order."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Page:
    """One alert of one notification: `status` is firing or resolved."""

    status: str
    name: str
    labels: dict[str, str]
    annotations: dict[str, str]


class Pager:
    """All pages so far; `url` is where Alertmanager posts."""

    def __init__(self) -> None:
        self.url = ""
        self._pages: list[Page] = []
        self._lock = threading.Lock()

    def take(self, notification: bytes) -> None:
        """Keep the alerts of one notification (Alertmanager webhook, version 4)."""
        alerts = json.loads(notification)["alerts"]
        pages = [Page(a["status"], a["labels"]["alertname"], a["labels"], a["annotations"]) for a in alerts]
        with self._lock:
            self._pages += pages

    def pages(self, name: str, status: str) -> list[Page]:
        """The pages of that alert with that status."""
        with self._lock:
            return [page for page in self._pages if (page.name, page.status) == (name, status)]

    def summary(self) -> list[tuple[str, str]]:
        """(alert, status) of every page in order."""
        with self._lock:
            return [(page.name, page.status) for page in self._pages]


@contextmanager
def listening() -> Iterator[Pager]:
    """A pager on a loopback port of its own, in a thread."""
    pager = Pager()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            pager.take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass  # what arrived is asserted; standard error belongs to the test report

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pager.url = f"http://127.0.0.1:{server.server_address[1]}/page"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield pager
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
