"""Method and path -> operation, dialect, model name and version: the one table that both processes read.

What the path does not tell is "". Health and metadata operations are recognised here and nowhere else: they bypass
admission, stay out of SLO and volume rules, and do not reset a drain.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

OPERATIONS = (
    *("predict", "explain", "generate", "chat", "completion", "responses", "embeddings", "feedback"),
    *("health", "metadata", "management", "metrics", "other"),
)
# Longer names are not taken from a path: any client can write one there, and it would become a label value.
MAX_NAME = 256
# Operations that say nothing about the model's work.
SIDE_OPERATIONS = frozenset({"health", "metadata", "metrics", "management"})


@dataclass(frozen=True, slots=True)
class Route:
    """What a path says."""

    operation: str
    protocol: str = ""
    model_name: str = ""
    model_version: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """`pattern` must match the whole path; groups `name` and `version` give the model. `methods` empty = any."""

    methods: tuple[str, ...]
    pattern: re.Pattern[str]
    operation: str
    protocol: str


def _rule(methods: str, pattern: str, operation: str, protocol: str) -> Rule:
    return Rule(tuple(methods.split()), re.compile(pattern), operation, protocol)


_V2 = r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?"
_V1 = r"/v1/models/(?P<name>[^/:]+)(?:/(?:versions|labels)/(?P<version>[^/:]+))?"
# Its ingress writes the deployment's name before the path, and most gateways take it off again.
_SELDON = r"(?:/seldon/[^/]+/(?P<name>[^/]+))?/api/v(?:0\.1|1\.0)/"
_TORCH = r"/(?P<name>[^/]+)(?:/(?P<version>[^/]+))?"

ROUTES: tuple[Rule, ...] = (
    _rule("POST", _V2 + "/infer", "predict", "open_inference_v2"),
    _rule("POST", _V2 + "/generate(?:_stream)?", "generate", "triton_generate"),
    _rule("GET HEAD", _V2 + "/ready", "health", "open_inference_v2"),
    _rule("GET HEAD", r"/v2/health/(?:live|ready)", "health", "open_inference_v2"),
    _rule("GET HEAD", _V2 + "(?:/(?:stats|config))?", "metadata", "open_inference_v2"),
    _rule("GET HEAD", r"/v2/?", "metadata", "open_inference_v2"),
    _rule("", r"/v2/repository/.*", "management", "open_inference_v2"),
    _rule("POST", _V1 + ":predict", "predict", "kserve_v1"),
    _rule("POST", _V1 + ":explain", "explain", "kserve_v1"),
    _rule("POST", _V1 + ":(?:classify|regress)", "predict", "tensorflow_serving"),
    _rule("GET HEAD", _V1 + "/metadata", "metadata", "tensorflow_serving"),
    _rule("POST", r"(?:/openai)?/v1/chat/completions", "chat", "openai"),
    _rule("POST", r"(?:/openai)?/v1/completions", "completion", "openai"),
    _rule("POST", r"(?:/openai)?/v1/responses", "responses", "openai"),
    _rule("POST", r"(?:/openai)?/v1/embeddings", "embeddings", "openai"),
    _rule("GET HEAD", r"(?:/openai)?/v1/models/?", "metadata", "openai"),
    _rule("GET HEAD", _V1, "metadata", "kserve_v1"),
    _rule("POST", r"/generate(?:_stream)?", "generate", "tgi"),
    # TGI's too, and of whoever serves at the root.
    _rule("POST", r"/", "generate", ""),
    # MLflow's and SageMaker's alike, so the path names no dialect; nor does the list of models, which several serve.
    _rule("POST", r"/invocations", "predict", ""),
    _rule("POST", r"/models/(?P<name>[^/]+)/invoke", "predict", "sagemaker"),
    _rule("GET HEAD", rf"/models(?:{_TORCH})?", "metadata", ""),
    _rule("POST PUT DELETE", rf"/models(?:{_TORCH}(?:/set-default)?)?", "management", ""),
    _rule("POST", _SELDON + "predictions", "predict", "seldon_v1"),
    _rule("POST", _SELDON + "explanations", "explain", "seldon_v1"),
    _rule("POST", _SELDON + "feedback", "feedback", "seldon_v1"),
    _rule("GET HEAD", _SELDON + "metadata(?:/[^/]+)?", "metadata", "seldon_v1"),
    _rule("GET HEAD", _SELDON + "(?:status/[^/]+|health/(?:ping|status))", "health", "seldon_v1"),
    _rule("POST PUT", "/(?:predictions|wfpredict)" + _TORCH, "predict", "torchserve"),
    _rule("POST PUT", "/explanations" + _TORCH, "explain", "torchserve"),
    _rule(
        "GET HEAD",
        r"/(?:ping|health|healthz|livez|readyz|live|ready|health/.*|-/(?:healthy|ready))",
        "health",
        "",
    ),
    _rule("GET HEAD", r"/metrics", "metrics", ""),
)
# Those whose bodies a path of the owner's may be said to carry; the first of them share one path already.
SHARED_PATH = "/invocations"
SELECTABLE = (
    *("mlflow", "sagemaker", "open_inference_v2", "kserve_v1", "tensorflow_serving", "seldon_v1"),
    *("torchserve", "openai", "tgi", "triton_generate"),
)
# What is done on such a path, where that is no prediction; OpenAI's is told by how the path ends, as its own are.
_GENERATIVE = {"openai": "chat", "tgi": "generate", "triton_generate": "generate"}
_ENDINGS = (
    *(("/chat/completions", "chat"), ("/completions", "completion")),
    *(("/responses", "responses"), ("/embeddings", "embeddings")),
)
_OTHER = Route("other")
_PLACEHOLDER = re.compile(r"\{(model_name|model_version)\}")


def custom_rule(path: str, protocol: str = "custom") -> Rule:
    """The rule of an inference path that the owner writes: {model_name} and {model_version} stand for one segment.

    The rest is compared as it stands, before percent-decoding. Raises ValueError("expected …").
    """
    pieces = _PLACEHOLDER.split(path)
    literal, placeholders = "".join(pieces[::2]), pieces[1::2]
    if (
        not path.startswith("/")
        or not literal.isascii()
        or not literal.isprintable()
        or set(" ?#") & set(literal)
    ):
        raise ValueError("expected a path that begins with /, percent-encoded, without query")
    if set("{}") & set(literal) or len(set(placeholders)) < len(placeholders):
        raise ValueError("expected {model_name} and {model_version}, each at most once, and no other braces")
    pattern = "".join(
        re.escape(piece) if place % 2 == 0 else f"(?P<{piece.removeprefix('model_')}>[^/]+)"
        for place, piece in enumerate(pieces)
    )
    return _rule("POST PUT", pattern, _operation(path, protocol), protocol)


def _operation(path: str, protocol: str) -> str:
    if protocol == "openai":
        return next((operation for ending, operation in _ENDINGS if path.endswith(ending)), "chat")
    return _GENERATIVE.get(protocol, "predict")


def table(owned: Iterable[tuple[str, str]]) -> tuple[Rule, ...]:
    """ROUTES behind the owner's own paths, each with the dialect that is spoken there."""
    return (*[custom_rule(path, protocol) for path, protocol in owned], *ROUTES)


def match(method: str, target: str, rules: Iterable[Rule] = ROUTES) -> Route:
    """The first rule that fits; a query, a scheme and an authority in the target are left out of the comparison."""
    path = path_of(target)
    for rule in rules:
        if rule.methods and method not in rule.methods:
            continue
        found = rule.pattern.fullmatch(path)
        if found is not None:
            names = found.groupdict()
            return Route(rule.operation, rule.protocol, _name(names.get("name")), _name(names.get("version")))
    return _OTHER


def _name(escaped: str | None) -> str:
    name = unquote(escaped or "")
    return name if len(name) <= MAX_NAME else ""


def path_of(target: str) -> str:
    """The path of a request target in origin or absolute form, without its query."""
    path = target.partition("?")[0]
    if not path.startswith("/") and "://" in path:
        path = "/" + path.partition("://")[2].partition("/")[2]
    return path
