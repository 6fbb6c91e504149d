"""Whose answers an exchange's are, and whether its rows are to be counted at all: by its operation and its head.

A mirrored request must not count as the model's own, nor a probe as a prediction. Pure; knows no series. A role that
is none of ROLES is `live`, whoever wrote it: a label value is no caller's to choose.
"""

import re
from typing import Final

from exporter.analysis.known import Known
from exporter.records.exchange import Exchange, header
from exporter.records.routes import SIDE_OPERATIONS

LIVE: Final = "live"
ROLES: Final = (LIVE, "shadow", "canary", "synthetic")
# Whose generations count in the families of the conventions, which know no roles: what callers wait for.
GENERATING: Final = frozenset({LIVE, "canary"})
# Why the rows of an exchange are left out; label values that exist from the start.
EXCLUSIONS: Final = ("probe", "warm_up", "ignored")
# Envoy and what is built on it add the suffix to the host of a mirrored request; older ones behind the port.
_SHADOW: Final = re.compile(rb"-shadow(?::\d+)?$", re.IGNORECASE)


class Sorter:
    """Sorts exchanges by head; made once, for names of fields are compared as bytes."""

    def __init__(self, known: Known) -> None:
        self._role = _field(known.role_header)
        self._fields = [
            (_field(name), reason)
            for name, reason in ((known.ignore_header, "ignored"), (known.warm_up_header, "warm_up"))
            if name
        ]

    def role(self, exchange: Exchange) -> str:
        """One of ROLES: what the configured field says, else shadow where the host says so, else live."""
        head = exchange.request_head
        if self._role:
            said = header(head, self._role).decode("latin-1").lower()
            if said in ROLES:
                return said
        # Most hosts are told apart without a look at lines.
        if b"-shadow" not in head.lower():
            return LIVE
        return "shadow" if _SHADOW.search(header(head, b"host")) else LIVE

    def exclusion(self, exchange: Exchange) -> str:
        """One of EXCLUSIONS, or "" for an exchange that counts as far as its head tells."""
        if exchange.operation in SIDE_OPERATIONS:
            return "probe"
        for name, reason in self._fields:
            if b"\r\n" + name + b":" in exchange.request_head.lower():
                return reason
        return ""


def _field(name: str) -> bytes:
    return name.lower().encode("latin-1", "replace")
