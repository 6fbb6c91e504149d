"""Which path tells whether a model is ready: by the dialect that it speaks, and by what it once answered there.

Never guesses: a path that the owner did not name is believed when it has answered 2xx, or says 5xx where a server of
that dialect would. A path that a server does not have says nothing of its health, and the next one is tried; when none
is left, a server that takes connections is up.
"""

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from exporter.collect.asking import Failure

MAX_NAME: Final = 256
# A path with {name} is asked of the one model that there is; else the server's own is, which stands for all of them.
PATHS: Final[dict[str, tuple[str, ...]]] = {
    "open_inference_v2": ("/v2/models/{name}/ready", "/v2/health/ready"),
    "triton_generate": ("/v2/models/{name}/ready", "/v2/health/ready"),
    "kserve_v1": ("/v1/models/{name}", "/v2/health/ready"),
    "tensorflow_serving": ("/v1/models/{name}",),
    "openai": ("/health", "/v1/models"),
    "tgi": ("/health",),
    "mlflow": ("/ping", "/health"),
    "sagemaker": ("/ping",),
    "seldon_v1": ("/health/status", "/ready"),
    "torchserve": ("/ping",),
}
SOURCES: Final = ("configured", "dialect", "connect")


class Readiness:
    """`path` is what to ask now ("" = only connect); tell each answer to `answered`."""

    def __init__(self, configured: str = "") -> None:
        self._configured = configured
        self._candidates: tuple[str, ...] = ()
        self._place = 0
        self._believed = False  # it has answered 2xx since the server was last away

    @property
    def path(self) -> str:
        """Percent-encoded."""
        if self._configured:
            return self._configured
        return self._candidates[self._place] if self._place < len(self._candidates) else ""

    @property
    def source(self) -> str:
        """One of SOURCES."""
        return "configured" if self._configured else "dialect" if self.path else "connect"

    def speaks(self, spoken: Iterable[tuple[str, str]]) -> None:
        """Dialects with the names of models, as answers confirmed them; what changes begins the choice anew."""
        found = candidates(spoken)
        if found != self._candidates:
            self._candidates, self._place, self._believed = found, 0, False

    def answered(self, failure: Failure | None) -> bool:
        """Whether the answer to the present path says that the model is ready; if it is none, the next path is up."""
        if failure is None:
            self._believed = bool(self.path)
            return True
        if not failure.status:
            # Away: another server may come back.
            if failure.reason in ("refused", "unreachable", "reset", "dns"):
                self._believed, self._place = False, 0
                return False
            if failure.reason != "malformed" or self.source != "dialect" or self._believed:
                return False
        elif self.source != "dialect" or self._believed or _is_trouble(failure.status):
            return False
        self._place += 1
        return True  # it took the connection, and has no such path


def candidates(spoken: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The paths of what is spoken, the most telling first, each once."""
    pairs = sorted({(protocol, name) for protocol, name in spoken if protocol in PATHS})
    names = {name for _, name in pairs if name}
    only = names.pop() if len(names) == 1 else ""
    found = [path for protocol, _ in pairs for path in PATHS[protocol]]
    if not 0 < len(only) <= MAX_NAME:
        found = [path for path in found if "{name}" not in path]
    return tuple(dict.fromkeys(path.replace("{name}", quote(only, safe="")) for path in found))


def _is_trouble(status: int) -> bool:
    """Whether a server that has the path answers so: 501 is said of what is not there."""
    return status >= 500 and status != 501
