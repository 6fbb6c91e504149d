"""An alarm from the model to the person who is called, nothing mocked: the short form of a game day.

The demo's model and its server, the sidecar, Prometheus with all shipped rules and Alertmanager with the shipped
configuration at a rehearsal's pace; a webhook, Slack's and a mailbox to which real notifiers send. `make gameday` plays
the scenes that take longer.
"""

from collections.abc import Iterator

import pytest

from tests.e2e.processes import wait_until
from tests.gameday.scenes import DOWN, FAST, SHORT, play
from tests.gameday.stage import Stage, staged

# Some forty seconds; each wait within has a deadline of its own.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("paging"), print) as parts:
        yield parts


def test_who_is_called(stage: Stage) -> None:
    """A fast burn is one page; a dead model is one more, its consequences are inhibited; both resolve."""
    for scene in SHORT:
        play(stage, scene, print)
    pages = [(way, alert, status) for way, alert, status in stage.inbox.summary() if way in ("page", "slack")]
    for way in ("page", "slack"):
        assert [(alert, status) for by, alert, status in pages if by == way] == [
            *((FAST, "firing"), (FAST, "resolved")),
            *((DOWN, "firing"), (DOWN, "resolved")),
        ]
    (called,) = stage.inbox.found("page", DOWN, "firing")
    assert called.labels["severity"] == "critical"
    (read,) = stage.inbox.found("slack", DOWN, "firing")
    assert "runbook" in read.text.lower()
    assert stage.inbox.refused == 0


def test_every_refused_request_is_counted(stage: Stage) -> None:
    """What callers got while the model was dead is what Prometheus has."""
    stage.traffic.stop()
    refused = stage.traffic.sent[503]
    assert refused > 0
    query = 'sum(model_request_duration_seconds_count{code="503"})'
    wait_until(
        lambda: stage.prometheus.scalar(query) == refused,
        f"{refused} refused requests are counted",
        progress=lambda: stage.prometheus.scalar(query),
    )
