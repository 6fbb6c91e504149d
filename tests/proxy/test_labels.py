"""Labels: a name is shown after a 2xx answer confirmed it, up to a cap; a counted exchange never changes its labels."""

import msgspec
import pytest

from exporter.proxy.labels import MAX_NAME_CHARACTERS, MAX_NAMES, Labelled, Labels
from exporter.records import totals
from exporter.records.messages import Learned
from exporter.records.routes import table
from tests.proxy.clients import Message, answer, get, request
from tests.proxy.lab import Lab
from tests.proxy.upstreams import ok, serving

ID = "x-request-id: 7"


@pytest.fixture
def writer() -> totals.Writer:
    layout = totals.Layout((0.1, 1.0))
    return totals.Writer(totals.create(layout), layout)


def _infer(name: str, version: str = "") -> bytes:
    return f"/v2/models/{name}{'/versions/' + version if version else ''}/infer".encode()


def _counted(labels: Labels, writer: totals.Writer, target: bytes, code: int = 200) -> tuple[str, ...]:
    """The labels under which an exchange with that target would be counted now."""
    block = labels.block(labels.labelled(b"POST", target), code)
    return writer._sets[(block - writer.layout.blocks_at) // writer.layout.block_slots]


def _by_status(message: Message) -> bytes:
    target = message.head.split(b" ")[1]
    return answer(b"{}", "404 Not Found") if b"missing" in target else answer()


async def test_name_is_unknown_until_confirmed(lab: Lab) -> None:
    """Errors before the first 2xx count as unknown and stay there; afterwards the name is shown for every code."""
    answers = iter([answer(b"", "503 Loading"), answer(), answer(b"", "500 Oops")])
    await lab.start(serving(lambda _: next(answers)))
    client = await lab.client()
    for _ in range(3):
        await client.send(request("/v2/models/iris/versions/3/infer", b"{}", ID))
        await client.read_message()
    client.close()
    await lab.finished(3)
    assert {(row.model_name, row.model_version, row.code): row.count for row in lab.rows()} == {
        ("unknown", "unknown", "503"): 1,
        ("iris", "3", "200"): 1,
        ("iris", "3", "500"): 1,
    }
    names = [exchange.model_name for exchange in await lab.received(3)]
    assert names == ["unknown", "iris", "iris"]


async def test_name_that_is_never_confirmed(lab: Lab) -> None:
    """What only ever fails shows no name, however often it is asked for."""
    await lab.start(serving(_by_status))
    client = await lab.client()
    for number in range(50):
        await client.send(request(f"/v2/models/missing-{number}/infer", b"{}", ID))
        await client.read_message()
    client.close()
    await lab.finished(50)
    assert [(row.model_name, row.count) for row in lab.rows()] == [("unknown", 50)]


async def test_learned_version_is_shown_from_then_on(lab: Lab) -> None:
    """The version that the analysis read from answers labels later exchanges, also on a connection that was open."""
    await lab.start(serving(ok))
    client = await lab.client()
    for round_ in range(2):
        await client.send(request("/v2/models/iris/infer", b"{}", ID))
        await client.read_message()
        if not round_:
            lab.analysis.tell(Learned({"iris": "v7"}))
            await lab.until(lambda: lab.plane.labels._learned)
    client.close()
    await lab.finished(2)
    assert {row.model_version: row.count for row in lab.rows()} == {"unknown": 1, "v7": 1}


async def test_names_given_by_the_owner(lab: Lab) -> None:
    """Configured names win from the first exchange on, whatever its code."""
    await lab.start(serving(_by_status), model_name="prod", model_version="9")
    await lab.ask(request("/v2/models/missing/infer", b"{}", ID))
    await lab.ask(get("/unheard/of", ID))
    await lab.finished(2)
    assert {(row.model_name, row.model_version) for row in lab.rows()} == {("prod", "9")}


async def test_operation_and_protocol_come_from_the_path(lab: Lab) -> None:
    """The route table labels what has a route; all else is `other` and unknown."""
    await lab.start(serving(ok))
    for data in (
        request("/v1/models/iris:predict", b"{}", ID),
        get("/v2/health/live", ID),
        get("/nowhere?secret=1", ID),
        request("http://model/v2/models/iris/infer?x=/v1", b"{}", ID),
    ):
        await lab.ask(data)
    await lab.finished(4)
    assert {(row.operation, row.protocol) for row in lab.rows()} == {
        ("predict", "kserve_v1"),
        ("health", "open_inference_v2"),
        ("other", "unknown"),
        ("predict", "open_inference_v2"),
    }
    exchanges = await lab.received(2)
    assert [exchange.path for exchange in exchanges] == ["/v1/models/iris:predict", "/v2/models/iris/infer"]


def test_names_are_capped(writer: totals.Writer) -> None:
    """Beyond the cap a new name is `<other>`, also when confirmed; known ones keep theirs."""
    labels = Labels(writer, "", "")
    for number in range(MAX_NAMES):
        assert _counted(labels, writer, _infer(f"m{number}"))[0] == f"m{number}"
    assert _counted(labels, writer, _infer("more"))[0] == "<other>"
    assert _counted(labels, writer, _infer("more"), 500)[0] == "<other>"
    assert _counted(labels, writer, _infer("m0"), 500)[0] == "m0"
    assert _counted(labels, writer, b"/nowhere", 500)[0] == "unknown"


def test_versions_are_capped(writer: totals.Writer) -> None:
    """A model has so many versions and no more."""
    labels = Labels(writer, "", "")
    for number in range(MAX_NAMES):
        assert _counted(labels, writer, _infer("m", str(number)))[1] == str(number)
    assert _counted(labels, writer, _infer("m", "more"))[1] == "unknown"


def test_longest_name(writer: totals.Writer) -> None:
    """A path of any length may be answered with 2xx; as a label it is shown up to a bound."""
    labels = Labels(writer, "", "")
    longest, longer = "n" * MAX_NAME_CHARACTERS, "n" * (MAX_NAME_CHARACTERS + 1)
    assert _counted(labels, writer, _infer(longest))[0] == longest
    assert _counted(labels, writer, _infer(longer))[0] == "unknown"


def test_label_sets_are_capped(writer: totals.Writer) -> None:
    """When the totals have no room for another label set, exchanges are counted under `<other>`."""
    labels = Labels(writer, "", "")
    for number in range(100):
        for code in range(200, 208):
            _counted(labels, writer, _infer(f"m{number}"), code)
    assert _counted(labels, writer, _infer("m99"), 299) == ("<other>",) * 5
    assert _counted(labels, writer, _infer("m0"), 200)[0] == "m0"


def test_version_in_the_path_with_a_configured_name(writer: totals.Writer) -> None:
    """The owner's name for the model does not hide the version that the path gives."""
    labels = Labels(writer, "prod", "")
    assert _counted(labels, writer, _infer("iris", "3"))[:2] == ("prod", "3")
    assert _counted(labels, writer, _infer("iris", "4"), 500)[:2] == ("prod", "unknown")


def test_name_learned_reaches_what_left_the_cache(writer: totals.Writer) -> None:
    """A connection that holds a label set across a full cache gets new names like any other."""
    labels = Labels(writer, "", "")
    held = labels.labelled(b"POST", _infer("iris"))
    assert labels.block(held, 500) >= 0
    for number in range(5000):
        labels.labelled(b"GET", b"/%d" % number)
    assert labels.labelled(b"POST", _infer("iris")) is not held
    labels.block(labels.labelled(b"POST", _infer("iris")), 200)
    block = labels.block(held, 500)
    assert writer._sets[(block - writer.layout.blocks_at) // writer.layout.block_slots][0] == "iris"


def test_other_rules_hold_from_the_next_exchange_on(writer: totals.Writer) -> None:
    """What was looked up by the old rules, and is held by an open connection, gets the new ones' labels."""
    labels = Labels(writer, "", "")
    held = labels.labelled(b"POST", b"/score/iris")
    assert (held.route.operation, held.captured) == ("other", False)
    before = labels.block(held, 200)
    labels.use(table([("/score/{model_name}", "custom")]))
    slot = labels.in_flight_slot(held)
    assert (held.route.protocol, held.captured) == ("custom", True)
    after = labels.block(held, 200)
    assert writer._sets[(after - writer.layout.blocks_at) // writer.layout.block_slots] == (
        *("iris", "unknown", "predict", "custom"),
        "200",
    )
    labels.use(table([]))
    assert labels.block(held, 200) == before
    assert labels.in_flight_slot(held) != slot
    assert not held.captured


def test_other_rules_keep_the_model_that_a_body_named(writer: totals.Writer) -> None:
    """A label set found by the name in a body is renewed like any other, and keeps the name."""
    labels = Labels(writer, "", "")
    held = labels.of_model(labels.labelled(b"POST", b"/v1/chat/completions"), "gpt")
    labels.block(held, 200)
    labels.use(table([("/other", "kserve_v1")]))
    labels.in_flight_slot(held)
    assert (held.route.model_name, held.route.protocol, held.captured) == ("gpt", "openai", True)
    assert labels.of_model(labels.labelled(b"POST", b"/v1/chat/completions"), "gpt") is held


async def test_a_connection_gets_new_rules(lab: Lab) -> None:
    """The same request on the same connection is an inference once its path is said to be one."""
    await lab.start(serving(lambda _: answer()))
    client = await lab.client()
    for paths in ((), (("/odd", "kserve_v1"),)):
        lab.worker.configure(msgspec.structs.replace(lab.worker.plane.settings, paths=paths))
        await client.send(request("/odd", b"{}", ID))
        await client.read_message()
    client.close()
    await lab.finished(2)
    assert [(row.operation, row.protocol) for row in lab.rows()] == [
        ("other", "unknown"),
        ("predict", "kserve_v1"),
    ]
    (one,) = await lab.received(1)
    assert (one.protocol, one.request_body) == ("kserve_v1", b"{}")


def test_cache_is_bounded_in_bytes(writer: totals.Writer) -> None:
    """Long paths are not kept; all others up to a number."""
    labels = Labels(writer, "", "")
    found: Labelled = labels.labelled(b"GET", b"/" + b"x" * 60_000)
    assert found.route.operation == "other"
    assert labels._cache == {}
    for number in range(10_000):
        labels.labelled(b"GET", b"/%d" % number)
    assert 0 < len(labels._cache) <= 4096
