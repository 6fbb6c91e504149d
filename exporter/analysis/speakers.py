"""Speakers: which dialects are read now: the owner's own first, then ours, without those that killed an analysis.

A dialect that is switched off still claims what is its own, so that no other one takes it for its own: nothing is read
of it until it is switched on again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exporter.decode import DIALECTS, Dialect
from exporter.decode.custom import dialect
from exporter.records.custom import Custom
from exporter.records.exchange import Exchange
from exporter.records.observation import Observation, Undecodable
from exporter.records.routes import ROUTES, Route, Rule, match, table


@dataclass(frozen=True, slots=True)
class Silent:
    """A dialect that is switched off."""

    dialect: Dialect

    @property
    def NAME(self) -> str:
        """The protocol label."""
        return self.dialect.NAME

    def claims(self, exchange: Exchange) -> bool:
        """As the dialect does."""
        return self.dialect.claims(exchange)

    def decode(self, exchange: Exchange) -> Observation:
        """Raises Undecodable."""
        raise Undecodable("no_dialect")


class Speakers:
    """`dialects` in the order in which they are asked."""

    def __init__(self) -> None:
        self._all: tuple[Dialect, ...] = DIALECTS
        self._off: frozenset[str] = frozenset()
        self._rules: tuple[Rule, ...] = ROUTES
        self._paths: tuple[tuple[str, str], ...] = ()
        self.dialects: tuple[Dialect, ...] = DIALECTS

    def use(self, customs: Iterable[Custom], paths: Sequence[tuple[str, str]]) -> None:
        """The owner's dialects, and his paths with what is spoken there."""
        self._all = (*map(dialect, customs), *DIALECTS)
        self._rules = table(paths)
        self.switch_off(self._off)

    def switch_off(self, protocols: Iterable[str]) -> None:
        """Those of these names and no others."""
        self._off = frozenset(protocols)
        self.dialects = tuple([Silent(one) if one.NAME in self._off else one for one in self._all])

    def protocol(self, exchange: Exchange) -> str:
        """What the exchange speaks: by its path, or else by the dialect that claims it; "" if none does."""
        if exchange.protocol:
            return exchange.protocol
        return next((one.NAME for one in self.dialects if one.claims(exchange)), "")

    def route(self, exchange: Exchange) -> Route:
        """What method and path say."""
        return match(exchange.method, exchange.path, self._rules)

    def silent(self, protocol: str) -> bool:
        """Whether it is switched off."""
        return protocol in self._off

    def knows(self, protocol: str) -> bool:
        """Whether there is a dialect of that name."""
        return any(protocol == one.NAME for one in self._all)
