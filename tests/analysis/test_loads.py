"""Loads: what a repository's requests and a refused readiness tell, and to which version it goes."""

import msgspec
import pytest

from exporter.analysis.loads import MAX_NAMES, MAX_SERIES, MAX_WAITING, WAIT_SECONDS, Loads
from exporter.records.sample import Histogram
from tests.analysis.world import v2

ONE = v2({"age": [40.5]}, {"label": [1]})
START = 1_700_000_000
REPOSITORY = "/v2/repository/models/iris/load"


def load(path: str = REPOSITORY, status: int = 200, **fields: object) -> object:
    """An exchange with the repository that took two seconds."""
    given = {"path": path, "status": status, "operation": "management", "method": "POST"} | fields
    return msgspec.structs.replace(ONE, start=START * 10**9, duration=2 * 10**9, **given)


def shown(loads: Loads) -> dict[tuple[str, ...], tuple[int, float]]:
    """Counts and sums of the durations."""
    found = {}
    for one in loads.samples():
        if one.name == "model.load.duration":
            assert isinstance(one.value, Histogram) and one.value.sum is not None
            found[one.labels] = one.value.count, one.value.sum
    return found


def requests(loads: Loads) -> dict[tuple[str, ...], object]:
    found = {one.labels: one.value for one in loads.samples() if one.name == "model.repository.requests"}
    return {labels: value for labels, value in found.items() if value}


def test_a_load_counts_for_the_version_that_answers_next() -> None:
    """Not for a request that was under way before, nor for another model."""
    loads = Loads(1.0)
    assert not loads.waiting
    loads.managed(load())  # type: ignore[arg-type]
    assert loads.waiting
    loads.answered("iris", "1", START + 1.0)
    loads.answered("wine", "7", START + 3.0)
    assert shown(loads) == {}
    loads.answered("iris", "2", START + 3.0)
    assert shown(loads) == {("iris", "2", "repository"): (1, 2.0)}
    assert not loads.waiting


def test_a_readiness_is_anybodys() -> None:
    """The probe does not know which model it was that loaded."""
    loads = Loads(1.0)
    loads.ready(12.5, START)
    loads.answered("iris", "2", START + 1.0)
    assert shown(loads) == {("iris", "2", "readiness"): (1, 12.5)}


def test_no_answer_in_time() -> None:
    """Then the version is not known, and the load counts all the same."""
    loads = Loads(1.0)
    loads.managed(load())  # type: ignore[arg-type]
    loads.ready(1.0, START + 2.0)
    loads.expire(START + 2.0 + WAIT_SECONDS - 1)
    assert shown(loads) == {}
    loads.expire(START + 2.0 + WAIT_SECONDS)
    unknown = {("iris", "unknown", "repository"): (1, 2.0), ("unknown", "unknown", "readiness"): (1, 1.0)}
    assert shown(loads) == unknown


@pytest.mark.parametrize(
    ("exchange", "counted"),
    [
        (load(status=400), {("unknown", "load", "failure"): 1}),
        (load(status=0, error_type="reset"), {("unknown", "load", "failure"): 1}),
        (load(error_type="incomplete"), {("unknown", "load", "failure"): 1}),
        (load("/v2/repository/models/a%20b/unload"), {("a b", "unload", "success"): 1}),
        (load("/v2/repository/index"), {}),
        (load("/v2/repository/models/iris/load", method="GET"), {}),
        (load("/v2/repository/models//load"), {}),
        (load("/models/iris"), {}),
    ],
)
def test_requests(exchange: object, counted: dict[tuple[str, ...], int]) -> None:
    """By kind and outcome; only a success makes a name a label, and only a successful load is waited for."""
    loads = Loads(1.0)
    loads.managed(exchange)  # type: ignore[arg-type]
    assert requests(loads) == counted
    assert not loads.waiting


def test_a_failure_of_a_known_model_has_its_name() -> None:
    """And all its series exist from the first success on."""
    loads = Loads(1.0)
    loads.managed(load())  # type: ignore[arg-type]
    assert sum(1 for one in loads.samples() if one.name == "model.repository.requests") == 4
    loads.managed(load(status=503))  # type: ignore[arg-type]
    assert requests(loads) == {("iris", "load", "success"): 1, ("iris", "load", "failure"): 1}


def test_bounds() -> None:
    """What waits, names and series: what is over counts under others, and nothing is lost."""
    loads = Loads(1.0)
    for number in range(4 * MAX_NAMES):
        loads.managed(load(f"/v2/repository/models/m{number}/load"))  # type: ignore[arg-type]
    assert sum(one[0] for one in shown(loads).values()) == 4 * MAX_NAMES - MAX_WAITING
    assert requests(loads)["<other>", "load", "success"] == 3 * MAX_NAMES
    for number in range(2 * MAX_SERIES):
        loads.ready(1.0, START)
        loads.answered("iris", str(number), START + 9.0)
    assert len(shown(loads)) <= MAX_SERIES + 2
    assert shown(loads)["<other>", "<other>", "readiness"][0] > 0
