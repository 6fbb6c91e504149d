"""A model, its predictions and their labels: engine, join and store, with every time an argument."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from exporter.analysis.engine import Engine
from exporter.analysis.known import Known
from exporter.analysis.performance.table import table
from exporter.parts.label_store import store_of
from exporter.parts.labels import Labels
from exporter.pending.contract import Store
from exporter.records.sample import Histogram, Sample
from exporter.settings.config import Config
from exporter.stats import Profile
from tests.analysis.world import BOUNDS, v2

T0 = 1_700_000_000.0  # 20 minutes before an hour is over
DAY = 86_400.0


class World:
    """One replica. `store` may be shared with another."""

    def __init__(
        self,
        store: Store | None = None,
        known: Mapping[str, Any] | None = None,
        profiles: Sequence[Profile] = (),
        **settings: Any,
    ) -> None:
        config = Config(upstream="http://a", **{"label_store": "memory"} | settings)
        self.known = Known(**{"task": "binary", "positive_class": "1"} | dict(known or {}))
        self.store = store or store_of(config)
        assert self.store is not None
        self.labels = Labels(config, self.known, self.store, T0)
        self.labels.start()
        self.engine = Engine(profiles, self.known, BOUNDS, T0)
        self.engine.joining = self.labels.joining

    def predict(
        self, identity: str, outputs: Mapping[str, Sequence[Any]], at: float = T0, **changes: Any
    ) -> None:
        """An answer of the model."""
        rows = len(next(iter(outputs.values())))
        head = f"POST /v2/models/iris/infer HTTP/1.1\r\nx-request-id: {identity}\r\n".encode()
        changes = {"request_head": head + changes.pop("fields", b"") + b"\r\n"} | changes
        inputs = {"x": [1.0] * rows} | dict(changes.pop("inputs", {}))
        one = v2(inputs, outputs, start=int(at * 1e9), duration=0, **changes)
        self.engine.record(one, self.engine.understand(one), at)
        self.engine.flush(at)

    async def written(self, now: float) -> None:
        """What was predicted until now is in the store, for other replicas too."""
        await self.labels.second(now)
        await self.labels.settled()

    async def feed(self, *items: Any, now: float = T0 + 60) -> list[Any]:
        """What became of labels: a word for each."""
        found = await self.labels.take(json.dumps(list(items)).encode(), "json", now)
        return [one[0] if isinstance(one, tuple) and len(one) == 1 else one for one in found]

    def samples(self, name: str) -> dict[tuple[str, ...], Any]:
        """What is exported of one family, without what is 0."""
        found: dict[tuple[str, ...], Any] = {}
        self.labels.joining.count()  # as before each scrape
        for one in self.labels.samples():
            if one.name == name and _value(one):
                assert one.labels not in found
                found[one.labels] = _value(one)
        return found

    def net(self, name: str, maturity: str = "arrival") -> dict[tuple[str, ...], float]:
        """Added less withdrawn, by the labels between the output and the maturity."""
        found: dict[tuple[str, ...], float] = {}
        for labels, value in self.samples(name).items():
            *_, kind, state, _ = labels
            if kind == maturity:
                cell = labels[3:-3]
                found[cell] = found.get(cell, 0.0) + (value if state == "added" else -value)
        return {cell: value for cell, value in found.items() if value}

    async def rows(self, by: str = "all", now: float = T0 + 60, **wanted: str) -> list[dict[str, Any]]:
        """The page's."""
        rows: list[dict[str, Any]] = (await self.page(by, now, **wanted))["rows"]
        return rows

    async def page(self, by: str = "all", now: float = T0 + 60, **wanted: str) -> dict[str, Any]:
        """All of it."""
        reading = await self.labels.reading(now)
        return table(reading, by, {name: frozenset((value,)) for name, value in wanted.items()})


def _value(one: Sample) -> float:
    return one.value.count if isinstance(one.value, Histogram) else float(one.value)


def figure(row: Mapping[str, Any], name: str, of: str = "", side: str = "figures") -> float:
    """The value of a figure."""
    (found,) = (one["value"] for one in row[side] if one["name"] == name and one.get("of", "") == of)
    return float(found)


def run(*worlds: World, body: Callable[[], Awaitable[None]]) -> None:
    """Inside a loop; whatever happens, the stores' threads end."""

    async def main() -> None:
        try:
            await body()
        finally:
            for world in worlds:
                await world.labels.stop(20.0)

    asyncio.run(main())
