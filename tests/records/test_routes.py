"""The table of paths."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.records.routes import (
    MAX_NAME,
    OPERATIONS,
    ROUTES,
    SIDE_OPERATIONS,
    Route,
    custom_rule,
    match,
    path_of,
    table,
)

V2, V1 = "open_inference_v2", "kserve_v1"
TABLE = [
    ("POST", "/v2/models/iris/infer", Route("predict", V2, "iris")),
    ("POST", "/v2/models/iris/versions/3/infer", Route("predict", V2, "iris", "3")),
    ("POST", "/v2/models/iris/generate", Route("generate", "triton_generate", "iris")),
    ("POST", "/v2/models/iris/versions/3/generate_stream", Route("generate", "triton_generate", "iris", "3")),
    ("GET", "/v2/models/iris/ready", Route("health", V2, "iris")),
    ("HEAD", "/v2/models/iris/versions/1/ready", Route("health", V2, "iris", "1")),
    ("GET", "/v2/health/live", Route("health", V2)),
    ("GET", "/v2/health/ready", Route("health", V2)),
    ("GET", "/v2/models/iris", Route("metadata", V2, "iris")),
    ("GET", "/v2/models/iris/versions/3", Route("metadata", V2, "iris", "3")),
    ("GET", "/v2/models/iris/stats", Route("metadata", V2, "iris")),
    ("GET", "/v2/models/iris/versions/3/config", Route("metadata", V2, "iris", "3")),
    ("GET", "/v2", Route("metadata", V2)),
    ("GET", "/v2/", Route("metadata", V2)),
    ("POST", "/v2/repository/index", Route("management", V2)),
    ("GET", "/v2/repository/models/iris/load", Route("management", V2)),
    ("POST", "/v1/models/iris:predict", Route("predict", V1, "iris")),
    ("POST", "/v1/models/iris/versions/2:predict", Route("predict", V1, "iris", "2")),
    ("POST", "/v1/models/iris/labels/canary:predict", Route("predict", V1, "iris", "canary")),
    ("POST", "/v1/models/iris:explain", Route("explain", V1, "iris")),
    ("POST", "/v1/models/iris:classify", Route("predict", "tensorflow_serving", "iris")),
    ("POST", "/v1/models/iris/versions/2:regress", Route("predict", "tensorflow_serving", "iris", "2")),
    ("GET", "/v1/models/iris/metadata", Route("metadata", "tensorflow_serving", "iris")),
    ("GET", "/v1/models/iris", Route("metadata", V1, "iris")),
    ("GET", "/v1/models/iris/versions/2", Route("metadata", V1, "iris", "2")),
    ("POST", "/v1/chat/completions", Route("chat", "openai")),
    ("POST", "/openai/v1/chat/completions", Route("chat", "openai")),
    ("POST", "/v1/completions", Route("completion", "openai")),
    ("POST", "/v1/responses", Route("responses", "openai")),
    ("POST", "/openai/v1/responses", Route("responses", "openai")),
    ("POST", "/generate", Route("generate", "tgi")),
    ("POST", "/generate_stream", Route("generate", "tgi")),
    ("POST", "/", Route("generate")),
    ("GET", "/generate", Route("other")),
    ("POST", "/openai/v1/embeddings", Route("embeddings", "openai")),
    ("GET", "/v1/models", Route("metadata", "openai")),
    ("GET", "/openai/v1/models/", Route("metadata", "openai")),
    ("POST", "/invocations", Route("predict")),
    ("POST", "/models/3f2a/invoke", Route("predict", "sagemaker", "3f2a")),
    ("GET", "/models", Route("metadata")),
    ("GET", "/models/resnet", Route("metadata", "", "resnet")),
    ("GET", "/models/resnet/2.0", Route("metadata", "", "resnet", "2.0")),
    ("POST", "/models", Route("management")),
    ("DELETE", "/models/resnet", Route("management", "", "resnet")),
    ("PUT", "/models/resnet/2.0/set-default", Route("management", "", "resnet", "2.0")),
    ("POST", "/api/v1.0/predictions", Route("predict", "seldon_v1")),
    ("POST", "/seldon/shop/iris/api/v1.0/predictions", Route("predict", "seldon_v1", "iris")),
    ("POST", "/api/v1.0/explanations", Route("explain", "seldon_v1")),
    ("POST", "/api/v0.1/feedback", Route("feedback", "seldon_v1")),
    ("GET", "/api/v1.0/metadata", Route("metadata", "seldon_v1")),
    ("GET", "/seldon/shop/iris/api/v1.0/metadata/classifier", Route("metadata", "seldon_v1", "iris")),
    ("GET", "/api/v1.0/status/classifier", Route("health", "seldon_v1")),
    ("GET", "/api/v1.0/health/ping", Route("health", "seldon_v1")),
    ("PUT", "/predictions/resnet", Route("predict", "torchserve", "resnet")),
    ("POST", "/predictions/resnet/2.0", Route("predict", "torchserve", "resnet", "2.0")),
    ("POST", "/wfpredict/dog_breed", Route("predict", "torchserve", "dog_breed")),
    ("POST", "/explanations/resnet", Route("explain", "torchserve", "resnet")),
    *[
        ("GET", path, Route("health"))
        for path in ("/ping", "/health", "/healthz", "/livez", "/readyz", "/live")
    ],
    *[("HEAD", path, Route("health")) for path in ("/ready", "/health/any/thing", "/-/healthy", "/-/ready")],
    ("GET", "/metrics", Route("metrics")),
]
NOWHERE = [
    *(("GET", "/v2/models/iris/infer"), ("POST", "/v2/models/iris/ready"), ("POST", "/metrics")),
    *(("POST", "/v2/models//infer"), ("POST", "/v2/models/a/b/infer"), ("POST", "/v2/models/iris/infer/")),
    *(("POST", "/v1/models/a:b:predict"), ("POST", "/v1/models/:predict"), ("post", "/invocations")),
    *(("POST", "/invocationsx"), ("POST", "/x/invocations"), ("GET", "*"), ("CONNECT", "model:443")),
    *(
        ("POST", "/seldon/iris/api/v1.0/predictions"),
        ("GET", "/predictions/a"),
        ("POST", "/predictions/a/1/b"),
    ),
    *(("GET", "/models/"), ("POST", "/models/a/1/b"), ("GET", "/models/a/1/invoke"), ("PATCH", "/models/a")),
    *(("POST", "/api/v1x0/predictions"), ("GET", ""), ("GET", "/"), ("GET", "/healthy"), ("GET", "/V2")),
]


@pytest.mark.parametrize(("method", "target", "route"), TABLE, ids=lambda value: str(value)[:40])
def test_routes(method: str, target: str, route: Route) -> None:
    """Operation, dialect, name and version of every kind of path; a query and an authority change nothing."""
    assert match(method, target) == route
    assert match(method, target + "?a=/v2/models/x/infer") == route
    assert match(method, "http://model:8080" + target) == route
    assert match(method, "https://[::1]" + target + "?x://y") == route


@pytest.mark.parametrize(("method", "target"), NOWHERE)
def test_other_paths(method: str, target: str) -> None:
    """What no rule takes whole is `other`, and names no model."""
    assert match(method, target) == Route("other")


def test_every_rule_is_shown() -> None:
    """Each rule of the table is the first to match some path above, so none is dead."""
    reached = set()
    for method, target, _ in TABLE:
        for number, rule in enumerate(ROUTES):
            if match(method, target, (rule,)).operation != "other":
                reached.add(number)
                break
    assert reached == set(range(len(ROUTES)))


def test_operations_are_the_listed_ones() -> None:
    """No rule names an operation that is not in the list; side operations are among them."""
    assert {rule.operation for rule in ROUTES} | {"other"} == set(OPERATIONS)
    assert set(OPERATIONS) > SIDE_OPERATIONS
    assert len(set(OPERATIONS)) == len(OPERATIONS)


@pytest.mark.parametrize(
    ("escaped", "name"),
    [("my%20model", "my model"), ("a%2Fb", "a/b"), ("caf%C3%A9", "café"), ("100%", "100%"), ("a%3Ab", "a:b")],
)
def test_escapes_are_taken_off_names(escaped: str, name: str) -> None:
    """Names are what the client meant; an escaped slash does not end one, a broken escape stays."""
    assert match("POST", f"/v2/models/{escaped}/versions/{escaped}/infer") == Route("predict", V2, name, name)
    assert match("POST", f"/v1/models/{escaped}:predict").model_name == name


def test_broken_utf8_in_a_name() -> None:
    """Escapes that are no UTF-8 give text that can be encoded."""
    name = match("POST", "/v2/models/%FF%00/infer").model_name
    assert name.encode() == "\ufffd\0".encode()


def test_long_names_are_not_taken() -> None:
    """A client cannot make a label of any length; the operation is known all the same."""
    assert match("POST", f"/v2/models/{'n' * MAX_NAME}/infer").model_name == "n" * MAX_NAME
    long = "n" * (MAX_NAME + 1)
    assert match("POST", f"/v2/models/{long}/versions/1/infer") == Route("predict", V2, "", "1")
    assert match("POST", f"/predictions/iris/{long}") == Route("predict", "torchserve", "iris", "")
    assert match("POST", f"/v2/models/{'%41' * MAX_NAME}/infer").model_name == "A" * MAX_NAME


@given(st.text(string.printable + "é\ufffd", max_size=60), st.sampled_from(["GET", "POST", ""]))
def test_any_target_is_matched(target: str, method: str) -> None:
    """No target raises, and every answer is within the lists."""
    route = match(method, target)
    assert route.operation in OPERATIONS
    assert route.protocol in {rule.protocol for rule in ROUTES} | {""}


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/a/b?c=d?e", "/a/b"),
        ("http://h/a?b", "/a"),
        ("http://h", "/"),
        ("http://h?q", "/"),
        ("/redirect?to=http://h/a", "/redirect"),
        ("/a://b/c", "/a://b/c"),
        ("*", "*"),
        ("h:443", "h:443"),
        ("", ""),
    ],
)
def test_path_of(target: str, path: str) -> None:
    """Origin and absolute form give the path; other forms stay as they are."""
    assert path_of(target) == path


@pytest.mark.parametrize(
    ("path", "target", "route"),
    [
        ("/score", "/score?x=1", Route("predict", "custom")),
        ("/a.b/(c)", "/a.b/(c)", Route("predict", "custom")),
        ("/m/{model_name}/s", "/m/my%20model/s", Route("predict", "custom", "my model")),
        ("/{model_version}:{model_name}", "/3:fraud", Route("predict", "custom", "fraud", "3")),
        ("/m/{model_name}", "/m/a/b", Route("other")),
        ("/a.b", "/axb", Route("other")),
        ("/score", "/score/", Route("other")),
    ],
)
def test_a_rule_of_the_owners(path: str, target: str, route: Route) -> None:
    """A path written by the owner is an inference; its placeholders are one segment each, all else is literal."""
    rule = custom_rule(path)
    assert match("POST", target, (rule,)) == match("PUT", target, (rule,)) == route
    assert match("GET", target, (rule,)) == Route("other")


def test_the_owners_paths_go_before_the_table() -> None:
    """Each with the dialect that was told, also where the table knows another; all else is as it was."""
    rules = table([("/predictions/{model_name}", "custom"), ("/invocations", "sagemaker")])
    assert match("POST", "/predictions/a", rules) == Route("predict", "custom", "a")
    assert match("POST", "/predictions/a/1", rules) == Route("predict", "torchserve", "a", "1")
    assert match("PUT", "/invocations", rules) == Route("predict", "sagemaker")
    assert match("GET", "/ping", rules) == Route("health")
    assert table([]) == ROUTES


@pytest.mark.parametrize(
    "path",
    [
        "",
        "score",
        "http://m/score",
        "/a b",
        "/a?b",
        "/a#b",
        "/é",
        "/a\n",
        "/{name}",
        "/{",
        "/{model_name}{model_name}",
    ],
)
def test_a_path_that_is_no_rule(path: str) -> None:
    """What can match no path, or names a model twice, is refused with what was expected."""
    with pytest.raises(ValueError, match="expected"):
        custom_rule(path)
