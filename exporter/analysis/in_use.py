"""What is in use, told from the keys of what is counted: dialects with their models, and the version of each model."""

from collections.abc import Collection, Mapping

from exporter.analysis.role import LIVE
from exporter.analysis.series import Key
from exporter.decode.pushed import NAME as PUSHED
from exporter.records.exchange import OTHER, UNKNOWN


def spoken(keys: Collection[Key]) -> frozenset[tuple[str, str]]:
    """Dialects with the names of the models that answered in them; "" for a name that nobody told."""
    found = {(key.protocol, key.model_name) for key in keys if key.role == LIVE and key.protocol}
    return frozenset((protocol, "" if name in (UNKNOWN, OTHER) else name) for protocol, name in found)


def versions(keys: Collection[Key], learned: Mapping[str, str]) -> dict[str, str]:
    """By model: what its answers told last, or else the only version that there is, as a path or the owner tells it."""
    known: dict[str, set[str]] = {}
    for key in keys:
        if (
            key.role == LIVE
            and key.protocol not in ("", PUSHED)
            and OTHER not in (key.model_name, key.model_version)
        ):
            known.setdefault(key.model_name, set()).add(key.model_version)
    alone = {name: found.pop() for name, found in known.items() if len(found) == 1}
    return {name: version for name, version in alone.items() if version != UNKNOWN} | dict(learned)
