"""What one end says or does in a scene, and the scene: steps of both ends in the order in which they happen."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Step:
    """`who` is "client" or "model"; `end` is "" (says data), "fin" or "reset".

    `held`: the beginning of a head, which may wait for its end. `becomes`: what reaches the model where heads are
    edited; b"" if it is `data`. `shown`: the kind of end that the sidecar makes of it; "" if it is `end`.
    """

    who: str
    data: bytes = b""
    end: str = ""
    held: bool = False
    becomes: bytes = b""
    shown: str = ""


def client(data: bytes, *, held: bool = False, becomes: bytes = b"") -> Step:
    """The client says this."""
    return Step("client", data, held=held, becomes=becomes)


def model(data: bytes) -> Step:
    """The model says this."""
    return Step("model", data)


CLIENT_FIN, CLIENT_RESET = Step("client", end="fin"), Step("client", end="reset")
MODEL_FIN, MODEL_RESET = Step("model", end="fin"), Step("model", end="reset")
# A whole answer, and then a reset while the request is still being sent: the client gets to read the answer. A reset
# of its own connection could take the answer away from it.
MODEL_RESET_BEHIND_ITS_ANSWER = Step("model", end="reset", shown="fin")


Counts = Mapping[tuple[str, str], int]  # (code, error type) -> exchanges


@dataclass(frozen=True, slots=True)
class Refusal:
    """The step with number `at` is refused: with this status and FIN, or (0) without a word, both sides seeing `end`.

    `then` still happens, because what it belongs to came before. `counts` and `desync` as in a scene.
    """

    at: int
    status: int = 0
    counts: Counts = field(default_factory=dict)
    desync: str = ""
    then: tuple[Step, ...] = ()
    end: str = "reset"


@dataclass(frozen=True, slots=True)
class Scene:
    """What happens on one connection, and how the sidecar must count it: exchanges, connection, loss of sync.

    `refusal` is what `gate` and `strict` do instead.
    """

    steps: tuple[Step, ...]
    counts: Counts = field(default_factory=dict)
    protocol: str = "http1"
    desync: str = ""
    refusal: Refusal | None = None
