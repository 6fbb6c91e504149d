"""How many requests came again: attempts with an id that was seen lately. They are counted, not merged.

Bounded: two generations of so many ids each, kept as numbers; what is older is forgotten and so not counted.
"""

from typing import Final

GENERATION: Final = 8192


class Repeats:
    """`count` of requests whose id came before, among the last GENERATION to twice as many of them."""

    def __init__(self) -> None:
        self.count = 0
        self._young: set[int] = set()
        self._old: set[int] = set()

    def see(self, request_id: str) -> None:
        """One request; "" is no id. Those that the sidecar makes are random, and so never seen twice."""
        if not request_id:
            return
        number = hash(request_id)
        if number in self._young or number in self._old:
            self.count += 1
        self._young.add(number)
        if len(self._young) >= GENERATION:
            self._old, self._young = self._young, set()
