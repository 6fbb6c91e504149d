"""Speakers: the owner's dialects before ours, and nobody in place of one that is switched off."""

import pytest

from exporter.analysis.speakers import Speakers
from exporter.decode import DIALECTS, observe
from exporter.records.custom import Custom
from exporter.records.observation import Undecodable
from exporter.records.routes import SELECTABLE, match, table
from tests.decode.exchanges import exchange

CUSTOMS = (Custom("/score/{model_name}", outputs="y"), Custom("/invocations", outputs="z"))
PATHS = tuple((one.path, "custom") for one in CUSTOMS)


def test_the_owners_dialects_are_asked_first() -> None:
    """Several of them, each on its path; what they leave is read as ever."""
    speakers = Speakers()
    speakers.use(CUSTOMS, PATHS)
    one = observe(exchange("/score/fraud", b"", b'{"y":[1]}'), speakers.dialects)
    assert (one.protocol, one.model_name) == ("custom", "fraud")
    other = observe(exchange("/invocations", b"", b'{"z":[1,2]}'), speakers.dialects)
    assert (other.protocol, other.rows) == ("custom", 2)
    assert speakers.knows("custom") and not Speakers().knows("custom")
    speakers.use((), ())
    assert speakers.dialects == DIALECTS


@pytest.mark.parametrize("path", ["/odd", "/", "/invocations"])
@pytest.mark.parametrize("name", SELECTABLE)
def test_every_dialect_that_can_be_told_is_the_one_that_claims(name: str, path: str) -> None:
    """An inference that is labelled with its name is claimed by it and by no other, whatever its path is."""
    route = match("POST", path, table([(path, name)]))
    assert route.protocol == name
    one = exchange(path, b"", b"", protocol=name, operation=route.operation)
    assert [dialect.NAME for dialect in DIALECTS if dialect.claims(one)] == [name]


@pytest.mark.parametrize(
    ("path", "name", "request_", "response"),
    [
        ("/llm/chat/completions", "openai", b'{"messages":[]}', b'{"choices":[{"message":{"content":"a"}}]}'),
        ("/invocations", "openai", b'{"messages":[]}', b'{"choices":[{"message":{"content":"a"}}]}'),
        ("/llm/completions", "openai", b'{"prompt":"b"}', b'{"choices":[{"text":"a"}]}'),
        ("/llm/responses", "openai", b'{"input":"b"}', b'{"output":[{"content":[{"text":"a"}]}]}'),
        ("/llm/embeddings", "openai", b'{"input":"b"}', b'{"data":[{"embedding":[1.0,2.0]}]}'),
        ("/write", "tgi", b'{"inputs":"b"}', b'{"generated_text":"a"}'),
        ("/write/{model_name}", "triton_generate", b'{"text_input":"b"}', b'{"text_output":"a"}'),
    ],
)
def test_a_path_may_be_said_to_generate(path: str, name: str, request_: bytes, response: bytes) -> None:
    """What the owner says a path carries is decoded by the ending of the path, as the dialect's own paths are."""
    target = path.replace("{model_name}", "llama")
    route = match("POST", target, table([(path, name)]))
    labels = {"protocol": route.protocol, "operation": route.operation, "model_name": route.model_name}
    found = observe(exchange(target, request_, response, **labels), Speakers().dialects)
    assert (found.protocol, found.rows) == (name, 1)
    assert found.generation is not None
    assert found.generation.operation == {"completion": "text_completion", "generate": "text_completion"}.get(
        route.operation, "chat" if route.operation == "responses" else route.operation
    )


def test_a_shared_path_is_said_to_speak_what_claims_it() -> None:
    """/invocations names no dialect: heads decide between MLflow and SageMaker, before any body is read."""
    plain = exchange("/invocations", b"", b"")
    amazon = exchange(
        "/invocations", b"", b"", response_head=b"HTTP/1.1 200 OK\r\nx-amzn-sagemaker-a: b\r\n\r\n"
    )
    nobody = exchange("/nowhere", b"", b"")
    told = exchange("/v2/models/m/infer", b"", b"")
    spoken = [Speakers().protocol(one) for one in (plain, amazon, nobody, told)]
    assert spoken == ["mlflow", "sagemaker", "", "open_inference_v2"]


def test_nobody_takes_the_place_of_a_dialect_that_is_switched_off() -> None:
    """What MLflow claims is not read as SageMaker's while MLflow is off; afterwards it is read again."""
    speakers = Speakers()
    one = exchange("/invocations", b'{"inputs":[[1,2]]}', b'{"predictions":[3]}')
    speakers.switch_off(["mlflow"])
    assert speakers.protocol(one) == "mlflow"
    with pytest.raises(Undecodable, match="no_dialect"):
        observe(one, speakers.dialects)
    speakers.use(CUSTOMS[:1], PATHS[:1])
    with pytest.raises(Undecodable, match="no_dialect"):
        observe(one, speakers.dialects)
    speakers.switch_off([])
    assert observe(one, speakers.dialects).protocol == "mlflow"


def test_versions_in_the_owners_paths_are_the_paths() -> None:
    """A path of the owner's tells name and version as those of the table do."""
    speakers = Speakers()
    speakers.use((), (("/m/{model_name}/{model_version}", "kserve_v1"),))
    route = speakers.route(exchange("/m/a/7", b"", b""))
    assert (route.model_name, route.model_version, route.protocol) == ("a", "7", "kserve_v1")
