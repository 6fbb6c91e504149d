"""asked.py: the requests of failed exchanges count as data, and as nothing else, whatever the dialect."""

import json
from typing import Any

import msgspec
import pytest

from exporter.analysis.engine import REQUEST_ONLY, Engine
from exporter.analysis.known import Known
from exporter.decode import DIALECTS, Asking, observe
from exporter.records.custom import parse
from exporter.records.exchange import UNKNOWN, Exchange
from exporter.records.rule import Rule
from exporter.records.sample import Histogram
from exporter.stats import Profile
from tests.analysis.world import BOUNDS, NOW, feed, found, profile, v1, v2
from tests.decode.exchanges import exchange
from tests.decode.laws import Vector, alone, vectors

ASKING = [dialect.NAME for dialect in DIALECTS if isinstance(dialect, Asking)]
QUALITY = ("model.data.violations", "model.data.checked", "model.feature.missing", "model.rules.checked")
# What moves with every exchange, and says nothing of rows.
COUNTS = ("model.exchanges.decoded", "model.requests.repeated")


def engine(*profiles: Profile, **known: Any) -> Engine:
    return Engine(profiles, Known("", "", (300.0,), **known), BOUNDS, NOW)


def failing(one: Exchange, status: int = 422) -> Exchange:
    """The same request, refused."""
    head = b"HTTP/1.1 422 Unprocessable Entity\r\ncontent-type: application/json\r\n\r\n"
    answer = {"response_head": head, "response_body": b'{"detail":"no"}', "error_type": "4xx"}
    return msgspec.structs.replace(one, status=status, **answer)


def readable(one: Vector) -> bool:
    """Whether a refusal leaves enough to read the request, and to tell the model where only the answer may name it."""
    read = alone(failing(one.exchange))
    named = one.exchange.model_name not in ("", UNKNOWN) or (read is not None and bool(read.model_name))
    return read is not None and (named or not observe(one.exchange).model_name)


READ = [one for one in vectors() if one.good and readable(one)]


def counted(made: Engine, names: tuple[str, ...] = QUALITY) -> dict[tuple[Any, ...], Any]:
    samples = list(made.snapshot().samples())
    return {(name, *labels): value for name in names for labels, value in found(samples, name).items()}


def rest(made: Engine) -> list[Any]:
    """All samples but those of quality and of outcomes; and the rolling windows."""
    samples = [one for one in made.snapshot().samples() if one.name not in (*QUALITY, *COUNTS)]
    sides = [side for state in made.windows(NOW) for side in state.sides]
    rows = [
        view.counts(name).tolist() for s in sides for view in s.windows.values() for name in s.layout.names
    ]
    plain = [
        (one.name, one.labels, one.value.counts if isinstance(one.value, Histogram) else one.value)
        for one in samples
    ]
    return [plain, rows]


def outcomes(made: Engine) -> dict[str, int]:
    moved = found(made.snapshot().samples(), "model.exchanges.decoded")
    return {labels[2]: count for labels, count in moved.items() if count}


@pytest.mark.parametrize("name", ASKING)
def test_every_dialect_with_columns_is_covered(name: str) -> None:
    """Each has stored exchanges whose requests can be read by themselves."""
    assert sum(one.dialect == name for one in READ) >= 2


@pytest.mark.parametrize("vector", READ, ids=lambda one: f"{one.dialect}-{one.name}")
def test_a_refused_request_counts_as_data_and_as_nothing_else(vector: Vector) -> None:
    """What was asked twice, and answered once, is checked twice; no prediction, bin, window or repeat moves."""
    made = engine()
    feed(made, [vector.exchange])
    before, others = counted(made), rest(made)
    feed(made, [failing(vector.exchange)])
    assert outcomes(made) == {"decoded": 1, REQUEST_ONLY: 1}
    assert rest(made) == others
    after = counted(made)
    for cell, count in before.items():
        of_inputs = cell[0] == "model.feature.missing" or (cell[0] in QUALITY and not cell[3])
        assert after[cell] == (2 * count if of_inputs else count), cell


@pytest.mark.parametrize("status", [400, 404, 422, 429, 500, 503, 599])
def test_any_status_of_a_failure(status: int) -> None:
    """4xx and 5xx are alike."""
    made = engine()
    one = v2({"x": [1.0, 2.0]}, {"y": [0.5, 0.5]})
    feed(made, [one, failing(one, status)])
    assert counted(made)["model.data.checked", "iris", "1", "", "x", "live"] == 4


def test_violations_and_missing_values_of_a_refused_request() -> None:
    """Type, range, category, missing and new columns, nulls, and an owner's rule: each is found in what was refused."""
    rules = (
        Rule("adult", "range", "age", low=18.0),
        Rule("label_there", "not_null", "label", side="output"),
        Rule("once", "unique", "age"),
    )
    made = engine(profile("iris", "1"), rules=rules)
    good = v2({"age": [40.0], "city": ["rome"]}, {"label": [1]})
    bad = [
        v2({"age": [-5000.0], "city": ["atlantis"]}, {}),
        v2({"age": ["old"], "city": [""]}, {}),
        v2({"age": [40.0], "odd": [1.0]}, {}),
    ]
    feed(made, [good, *map(failing, bad)])
    after = {cell[3:]: count for cell, count in counted(made).items() if count and cell[3] == ""}
    violations = {cell[1:3]: count for cell, count in after.items() if len(cell) == 4}
    assert violations["age", "small_value"] == 1
    assert violations["age", "unexpected_data_type"] == 1
    assert violations["age", "adult"] == 2
    assert violations["city", "unexpected_value"] == 1
    assert violations["city", "missing_column"] == 1
    assert violations["<other>", "new_column"] == 1
    assert not {cell for cell in violations if cell[1] in ("once", "label_there")}
    missing = found(made.snapshot().samples(), "model.feature.missing")
    assert missing["iris", "1", "city", "empty", "live"] == 1
    checked = counted(made)
    assert checked["model.data.checked", "iris", "1", "", "age", "live"] == 4
    assert checked["model.rules.checked", "iris", "1", "label_there", "live"] == 1
    assert set(found(made.snapshot().samples(), "model.profile.mismatches").values()) == {0}


def test_a_refused_request_names_nothing() -> None:
    """Neither a model, nor a version, nor a column comes into being by what no model took."""
    made = engine()
    feed(made, [failing(v2({"x": [1.0]}, {}))])
    assert found(made.snapshot().samples(), "model.info") == {}
    assert outcomes(made) == {REQUEST_ONLY: 1}
    feed(made, [v2({"x": [1.0]}, {"y": [0.5]}), failing(v2({"x": [1.0], "mine": ["a"]}, {}))])
    features = {cell[4] for cell in counted(made) if cell[0] == "model.data.checked"} - {""}
    assert features == {"x"}
    feed(made, [failing(v2({"x": [1.0]}, {}, version="", model_version="9"))])
    assert {labels[:2] for labels in found(made.snapshot().samples(), "model.info")} == {("iris", "1")}


def test_a_version_that_answers_told_is_that_of_what_fails() -> None:
    """Where the data plane has no version yet, the one that was learned stands for it."""
    made = engine()
    feed(made, [v2({"x": [1.0]}, {"y": [0.5]}, model_version="unknown")])
    feed(made, [failing(v2({"x": [2.0]}, {}, version=""))])
    assert counted(made)["model.data.checked", "iris", "1", "", "x", "live"] == 2


def test_before_the_first_answer_a_profile_is_enough() -> None:
    """Under `unknown`, and what was counted there stays when a version is told."""
    made = engine(profile("iris", "*"))
    feed(made, [failing(v2({"age": [1.0], "city": ["rome"]}, {}, version=""))])
    cell = ("model.data.checked", "iris", "unknown", "", "age", "live")
    assert counted(made)[cell] == 1
    feed(made, [v2({"age": [1.0], "city": ["rome"]}, {"label": [1]})])
    assert counted(made)[cell] == 1
    assert counted(made)["model.data.checked", "iris", "1", "", "age", "live"] == 1


def test_another_reference_begins_anew() -> None:
    """Counters of columns are of the reference in force, those of refused requests too."""
    made = engine(profile("iris", "1"))
    one = v2({"age": [40.0], "city": ["rome"]}, {"label": [1]})
    feed(made, [one, failing(one)])
    made.use([profile("iris", "1", rows=600)], NOW + 1)
    assert counted(made)["model.data.checked", "iris", "1", "", "age", "live"] == 0


@pytest.mark.parametrize(
    ("body", "read"),
    [({"data": [1, 2, 3]}, False), ({"data": [[1, 2, 3]]}, True), ({"data": None}, False)],
)
def test_what_only_an_answer_tells_is_not_guessed(body: Any, read: bool) -> None:
    """A list that may be three rows or one of three values is not read without the answer that decides."""
    path = "/predictions/m"
    made = engine()
    feed(made, [failing(exchange(path, json.dumps(body).encode(), b""))])
    assert outcomes(made) == {REQUEST_ONLY if read else "not_2xx": 1}


def test_a_dialect_of_the_owners() -> None:
    """His expression that picks the inputs is all that is asked."""
    made = engine()
    custom = parse({"path": "/score", "inputs": "rows", "outputs": "scores", "model_name": "model"})
    made.speakers.use([custom], [])
    body = b'{"model":"mine","rows":[{"a":1},{"a":2}]}'
    one = exchange("/score", body, b'{"scores":[1,2]}', model_version="unknown")
    feed(made, [one, failing(one)])
    assert outcomes(made) == {"decoded": 1, REQUEST_ONLY: 1}
    assert counted(made)["model.data.checked", "mine", "unknown", "", "a", "live"] == 4


def test_what_is_no_success_and_left_out_stays_left_out() -> None:
    """What is to be ignored stays so; warm-up ends with what was answered; a silent dialect reads nothing."""
    made = engine(ignore_header="x-ignore", warm_up=1)
    one = v1([1.0], [0.5])
    head = b"POST /v1/models/m:predict HTTP/1.1\r\nx-ignore: 1\r\n\r\n"
    feed(made, [failing(one), msgspec.structs.replace(failing(one), request_head=head)])
    assert counted(made) == {}
    made.speakers.switch_off(["kserve_v1"])
    feed(made, [failing(one)])
    assert outcomes(made) == {REQUEST_ONLY: 1, "not_2xx": 1}
