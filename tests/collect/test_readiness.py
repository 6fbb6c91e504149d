"""Which path is asked, by what is spoken and what was answered."""

import pytest

from exporter.collect.asking import Failure
from exporter.collect.readiness import PATHS, Readiness, candidates
from exporter.records.routes import SELECTABLE, SIDE_OPERATIONS, match

V2 = [("open_inference_v2", "iris")]
PER_MODEL, SERVER = "/v2/models/iris/ready", "/v2/health/ready"


def said(status: int) -> Failure:
    return Failure("redirect" if 300 <= status < 400 else "status", "", status)


def test_every_dialect_has_paths_that_the_routes_know() -> None:
    """A path that is asked here is no traffic there."""
    assert PATHS.keys() == set(SELECTABLE)
    for paths in PATHS.values():
        for path in paths:
            assert match("GET", path.replace("{name}", "iris")).operation in SIDE_OPERATIONS


@pytest.mark.parametrize(
    ("spoken", "paths"),
    [
        ([], ()),
        (V2, (PER_MODEL, SERVER)),
        ([("open_inference_v2", "a b/%")], ("/v2/models/a%20b%2F%25/ready", SERVER)),
        ([*V2, ("open_inference_v2", "wine")], (SERVER,)),
        ([("open_inference_v2", "")], (SERVER,)),
        ([("open_inference_v2", "x" * 257)], (SERVER,)),
        ([("openai", "llama"), ("openai", "bert")], ("/health", "/v1/models")),
        ([("custom", "x")], ()),
    ],
)
def test_candidates(spoken: list[tuple[str, str]], paths: tuple[str, ...]) -> None:
    """The only model is asked for itself, several as the server that they share."""
    assert candidates(spoken) == paths


def test_the_owners_path_is_the_only_one() -> None:
    """Whatever it answers, and whatever is spoken."""
    readiness = Readiness("/ready")
    readiness.speaks(V2)
    for status in (404, 302, 503):
        assert not readiness.answered(said(status))
    assert not readiness.answered(Failure("malformed", ""))
    assert readiness.answered(None)
    assert (readiness.path, readiness.source) == ("/ready", "configured")


def test_a_path_that_the_server_has_not_is_left() -> None:
    """One after the other, and when none is left a connection is all that is asked for."""
    readiness = Readiness()
    assert (readiness.path, readiness.source) == ("", "connect")
    assert readiness.answered(None)
    readiness.speaks(V2)
    assert (readiness.path, readiness.source) == (PER_MODEL, "dialect")
    assert readiness.answered(said(404))
    assert readiness.path == SERVER
    assert readiness.answered(Failure("malformed", ""))
    assert (readiness.path, readiness.source) == ("", "connect")
    assert readiness.answered(None)
    assert not readiness.answered(Failure("refused", ""))
    assert readiness.path == PER_MODEL  # another server may come back


@pytest.mark.parametrize("status", [400, 404, 302, 501, 503])
def test_a_path_that_answered_once_is_believed(status: int) -> None:
    """A model that was unloaded answers 404 where it was ready before: it is not ready."""
    readiness = Readiness()
    readiness.speaks(V2)
    assert readiness.answered(None)
    assert not readiness.answered(said(status))
    assert readiness.path == PER_MODEL


def test_trouble_is_no_absence() -> None:
    """503 where the dialect has its readiness says so even if it never answered 2xx; nor does a silence go on."""
    readiness = Readiness()
    readiness.speaks(V2)
    assert not readiness.answered(said(503))
    assert not readiness.answered(Failure("timeout", ""))
    assert readiness.path == PER_MODEL


def test_more_models_choose_anew() -> None:
    """The second model that answers makes it the server's readiness; the same ones change nothing."""
    readiness = Readiness()
    readiness.speaks(V2)
    readiness.answered(said(404))
    readiness.speaks(V2)
    assert readiness.path == SERVER
    readiness.speaks([("kserve_v1", "iris")])
    assert readiness.path == "/v1/models/iris"
