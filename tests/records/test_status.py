"""The status page."""

import os
from collections.abc import Iterator

import pytest

from exporter.records.status import RELOADS, RESTARTS, Status, create


@pytest.fixture
def page() -> Iterator[int]:
    fd = create()
    yield fd
    os.close(fd)


def test_restarts_are_seen_by_every_view(page: int) -> None:
    """Counts by component and reason, from 0, shared."""
    root, analysis = Status(page), Status(page)
    assert analysis.restarts() == dict.fromkeys(RESTARTS, 0)
    for key in RESTARTS:
        root.restarted(*key)
    root.restarted("analysis", "hung")
    assert analysis.restarts() == dict.fromkeys(RESTARTS, 1) | {("analysis", "hung"): 2}


def test_reloads_are_seen_by_every_view(page: int) -> None:
    """Counts by kind and outcome, beside those of restarts."""
    root, analysis = Status(page), Status(page)
    assert root.reloads() == dict.fromkeys(RELOADS, 0)
    for key in RELOADS:
        analysis.reloaded(*key)
    assert root.reloads() == dict.fromkeys(RELOADS, 1)
    assert root.restarts() == dict.fromkeys(RESTARTS, 0)
    with pytest.raises(ValueError):
        root.reloaded("mood", "success")


def test_an_unknown_reason_is_refused(page: int) -> None:
    """A reason outside the list raises and counts nothing."""
    with pytest.raises(ValueError):
        Status(page).restarted("analysis", "tired")
    assert sum(Status(page).restarts().values()) == 0


def test_the_work_in_hand_outlives_its_worker(page: int) -> None:
    """What was taken last is read by another view; done is empty; a shorter one leaves nothing of a longer one."""
    root, analysis = Status(page), Status(page)
    assert root.in_hand() == ("", "")
    analysis.take("open_inference_v2", "/v2/models/a b/infer")
    assert root.in_hand() == ("open_inference_v2", "/v2/models/a b/infer")
    analysis.take("x", "/é")
    assert root.in_hand() == ("x", "/é")
    analysis.take("", "")
    assert root.in_hand() == ("", "")


def test_the_work_in_hand_is_bounded(page: int) -> None:
    """A path of any length fits, cut; the restart counts are not touched."""
    status = Status(page)
    status.restarted("data_plane", "memory")
    for path in ("/" + "a" * 100_000, "é" * 50_000):
        status.take("kserve_v1", path)
        protocol, read = status.in_hand()
        assert protocol == "kserve_v1"
        assert len(read) > 1000
        assert path.startswith(read.rstrip("\ufffd"))
    assert status.restarts()[("data_plane", "memory")] == 1
    assert sum(status.restarts().values()) == 1
