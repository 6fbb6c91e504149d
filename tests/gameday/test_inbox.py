"""The inbox that scenes look into: what it keeps, from webhooks, Slack's and mail."""

import json
import smtplib
import urllib.request
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from tests.e2e.processes import wait_until
from tests.gameday import inbox as module
from tests.gameday.inbox import Inbox, open_inbox


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with open_inbox() as opened:
        yield opened


def post(inbox: Inbox, way: str, body: object) -> None:
    urllib.request.urlopen(f"{inbox.web}/{way}", json.dumps(body).encode(), timeout=30).close()


def webhook(name: str) -> dict[str, object]:
    return {
        "status": "firing",
        "alerts": [{}, {}],
        "groupLabels": {"alertname": name},
        "commonLabels": {"job": "j"},
    }


def test_a_webhook_is_a_notification_of_its_group(inbox: Inbox) -> None:
    """Name, number of alerts and common labels are kept, by the path that they came on."""
    post(inbox, "page", webhook("A"))
    (kept,) = inbox.found("page", "A", "firing")
    assert (kept.alerts, kept.labels) == (2, {"job": "j"})
    assert inbox.found("ticket") == inbox.found("page", "B") == inbox.found("page", "A", "resolved") == []


def test_slack_and_mail_are_read_by_their_titles(inbox: Inbox) -> None:
    """A title such as modeltap.title gives alert and status; the text is kept, in the order of lines."""
    post(inbox, "slack", {"attachments": [{"title": "[RESOLVED] A in shop/j", "text": "All well."}]})
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "[FIRING:2] B of wine in j", "a@x", "b@x"
    message.set_content("Look:\n..here\n")
    host, port = inbox.mail.split(":")
    with smtplib.SMTP(host, int(port), timeout=30) as client:
        client.send_message(message)
    wait_until(lambda: inbox.found("mail"), "the mail is kept")
    assert inbox.summary() == [("slack", "A", "resolved"), ("mail", "B", "firing")]
    assert inbox.found("slack")[0].text.endswith("All well.")
    assert inbox.found("mail")[0].text.splitlines()[0] == "Look:"


def test_a_full_inbox_refuses_and_counts(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is beyond the bound is not kept."""
    monkeypatch.setattr(module, "MOST", 1)
    for name in ("A", "B"):
        post(inbox, "log", webhook(name))
    assert ([each.alert for each in inbox.found("log")], inbox.refused) == (["A"], 1)
