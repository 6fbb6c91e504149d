"""Which store pending predictions wait in, and its bounds: of the configuration."""

from typing import Final

from exporter.pending import open_store
from exporter.pending.contract import DAY_SECONDS, Limits, Store
from exporter.settings.config import Config

_CELLS: Final = 500_000
_ROW_BYTES: Final = 256  # that a row may take in a store, key and all


def store_of(config: Config) -> Store | None:
    """The store of the configuration, None for none; one server may hold several, by the name behind #."""
    address, _, namespace = config.label_store.partition("#")
    if address == "none":
        return None
    if namespace:
        from exporter.pending.redis import Redis  # a package of its own

        return Redis(address, limits_of(config), namespace)
    return open_store(address, limits_of(config))


def limits_of(config: Config) -> Limits:
    """The bounds of a store."""
    return Limits(
        rows=config.label_rows,
        bytes=config.label_rows * _ROW_BYTES,
        age_seconds=config.label_age * DAY_SECONDS,
        cells=_CELLS,
    )
