"""Where notifications arrive: webhooks, Slack's and a mailbox, each on a loopback port, kept in the order of arrival.

Knows what Alertmanager posts, not why. Bounded: what comes after MOST notifications is refused, and counted.
"""

import email
import email.policy
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MOST = 10_000
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Notification:
    """`way`: page, ticket, log, slack or mail; `alert`: the name of its group; `text`: as a person reads it."""

    way: str
    status: str
    alert: str
    alerts: int
    text: str
    at: float
    labels: dict[str, str] = field(default_factory=dict)


class Inbox:
    """All notifications so far; `web` and `mail` are the addresses for Alertmanager."""

    def __init__(self) -> None:
        self.web = ""
        self.mail = ""
        self.refused = 0
        self._kept: list[Notification] = []
        self._lock = threading.Lock()

    def take(self, way: str, status: str, alert: str, **more: Any) -> None:
        with self._lock:
            if len(self._kept) < MOST:
                told = {"alerts": 1, "text": "", "at": time.time(), **more}
                self._kept.append(Notification(way, status, alert, **told))
            else:
                self.refused += 1

    def found(self, way: str, alert: str = "", status: str = "") -> list[Notification]:
        """Those that came this way; of that alert and status, if they are given."""
        with self._lock:
            return [
                each
                for each in self._kept
                if each.way == way and alert in ("", each.alert) and status in ("", each.status)
            ]

    def summary(self) -> list[tuple[str, str, str]]:
        """(way, alert, status) of all, in order."""
        with self._lock:
            return [(each.way, each.alert, each.status) for each in self._kept]


@contextmanager
def open_inbox() -> Iterator[Inbox]:
    """An inbox with its two servers, in threads."""
    inbox = Inbox()
    web = ThreadingHTTPServer((LOOPBACK, 0), _poster(inbox))
    mail = socketserver.ThreadingTCPServer((LOOPBACK, 0), _mailbox(inbox))
    mail.daemon_threads = True
    inbox.web = f"http://{LOOPBACK}:{web.server_address[1]}"
    inbox.mail = f"{LOOPBACK}:{mail.server_address[1]}"
    servers = (web, mail)
    threads = [threading.Thread(target=each.serve_forever, daemon=True) for each in servers]
    for thread in threads:
        thread.start()
    try:
        yield inbox
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()


def _poster(inbox: Inbox) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["content-length"])))
            way = self.path.strip("/")
            if way == "slack":
                (part,) = told["attachments"]
                _take_titled(inbox, way, part["title"], f"{part['title']}\n{part['text']}")
            else:
                name, labels = told["groupLabels"].get("alertname", ""), told["commonLabels"]
                inbox.take(way, told["status"], name, alerts=len(told["alerts"]), labels=labels)
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            # Slack's own answer, which its notifier looks for.
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:
            """What arrived is told by the scenes."""

    return Handler


def _take_titled(inbox: Inbox, way: str, title: str, text: str) -> None:
    """`title` as modeltap.tmpl writes it: [FIRING:2] name of model in job."""
    status, _, rest = title.lstrip("[").partition("] ")
    inbox.take(way, status.partition(":")[0].lower(), rest.partition(" ")[0], text=text)


def _mailbox(inbox: Inbox) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        """As much of SMTP (RFC 5321) as one sender without extensions needs."""

        timeout = 30

        def handle(self) -> None:
            self._say("220 here")
            while line := self.rfile.readline(1000):
                verb = line[:4].upper()
                if verb == b"DATA":
                    self._say("354 go on")
                    self._keep()
                self._say("221 bye" if verb == b"QUIT" else "250 ok")
                if verb == b"QUIT":
                    return

        def _keep(self) -> None:
            lines = iter(lambda: self.rfile.readline(1000), b".\r\n")
            message = email.message_from_bytes(b"".join(lines), policy=email.policy.default)
            body = message.get_body(("plain",))
            _take_titled(inbox, "mail", str(message["subject"]), body.get_content() if body else "")

        def _say(self, line: str) -> None:
            self.wfile.write(line.encode() + b"\r\n")

    return Handler
