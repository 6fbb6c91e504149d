"""Certificates that the sidecar shows: when each ends, and a log line when one is about to, has, or is not good yet.

One collector beside those of `collect`: it alone tells of an end, whoever uses the file. Invariants: one line per
change of state; a certificate that is over serves on, for what becomes of a connection is the peer's to decide.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple

from exporter.collect import Unavailable
from exporter.parts.validity import Validity, validity, written
from exporter.records.sample import Sample
from exporter.settings.config import Config

log = logging.getLogger(__name__)
SOON_SECONDS: Final = 7 * 86_400.0
State = Literal["good", "ends soon", "expired", "not valid yet"]


class Shown(NamedTuple):
    """`use`: who sees it (listener, upstream, admin). `place`: the setting that names the file."""

    use: str
    place: str
    file: str


def shown(config: Config, admin: str = "") -> Iterator[Shown]:
    """The certificates of a configuration; `admin` is that of web.config, which is a file of its own."""
    found = (
        Shown("listener", "--tls-cert", config.tls_cert),
        Shown("upstream", "--upstream-cert", config.upstream_cert),
        Shown("admin", "web.config: cert_file", admin),
    )
    return (one for one in found if one.file)


def state_of(good: Validity, now: float) -> State:
    """As of `now`, unix seconds."""
    if now < good.start:
        return "not valid yet"
    if now > good.end:
        return "expired"
    return "ends soon" if good.end - now < SOON_SECONDS else "good"


def wrong(one: Shown, good: Validity, now: float) -> str:
    """What keeps a certificate from being accepted now; "" if nothing does."""
    match state_of(good, now):
        case "expired":
            return f"{one.place} {one.file}: expired at {written(good.end)}"
        case "not valid yet":
            return f"{one.place} {one.file}: not valid before {written(good.start)}"
    return ""


class Certificates:
    """The collector. `find` is asked each time: web.config may name another file after it was read again."""

    name = "certificates"

    def __init__(self, find: Callable[[], Iterator[Shown]]) -> None:
        self._find = find
        self._states: dict[str, State] = {}

    def collect(self, now: float) -> Iterator[Sample]:
        """modeltap.certificate.expiry of each file that can be read; Unavailable where none is used."""
        found = list(self._find())
        if not found:
            raise Unavailable("no certificate is configured")
        for one in found:
            good = validity(one.file)
            if good is not None:
                self._tell(one, good, now)
                yield Sample("modeltap.certificate.expiry", (one.use,), good.end)

    def _tell(self, one: Shown, good: Validity, now: float) -> None:
        state, before = state_of(good, now), self._states.get(one.use, "good")
        self._states[one.use] = state
        if state == before:
            return
        if problem := wrong(one, good, now):
            log.error("%s; it serves on, but peers that check it refuse", problem)
        elif state == "ends soon":
            log.warning("%s %s: expires at %s", one.place, one.file, written(good.end))
        else:
            log.info("%s %s: valid until %s", one.place, one.file, written(good.end))
