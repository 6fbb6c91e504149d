"""Which labels a finished exchange gets, and the block of shared totals that counts it.

A model name or version becomes a label value only after a 2xx answer confirmed it, up to a cap; before that the
exchange is counted as `unknown`. A counted exchange never changes its labels.
"""

from exporter.records.exchange import NO_CODE, OTHER, UNKNOWN
from exporter.records.routes import ROUTES, SIDE_OPERATIONS, Route, Rule, match, path_of
from exporter.records.totals import Writer

MAX_NAMES = 128
MAX_NAME_CHARACTERS = 256
# Operations whose answers may be streams of events, and dialects that name the model in the body of a request.
STREAMED = frozenset({"chat", "completion", "responses", "generate"})
NAMED_IN_BODY = frozenset({"openai"})
_MAX_CACHED_TARGETS = 4096
_MAX_CACHED_MODELS = 1024
_MAX_CACHED_BYTES = 512  # a longer path is matched anew each time, so that the cache is bounded in bytes too


class Labelled:
    """A route with the blocks that its exchanges were counted in so far."""

    __slots__ = (
        *("blocks", "captured", "generation", "in_flight", "managing", "method", "model", "model_in_body"),
        *("named", "path", "route", "rules", "streams"),
    )

    def __init__(self, rules: tuple[Rule, ...], method: str, path: str, model: str = "") -> None:
        self.method = method
        self.path = path
        self.model = model  # that the body of a request names
        self.blocks: dict[int, int] = {}
        self.in_flight = -1
        self.named: tuple[str, str] | None = None  # model name and version that may be shown
        self.generation = 0
        self.find(rules)

    def find(self, rules: tuple[Rule, ...]) -> None:
        """Take the route from these rules."""
        self.rules = rules
        self.route: Route = match(self.method, self.path, rules)
        # Bodies of side operations, and of what no table knows, tell nothing.
        operation = self.route.operation
        self.captured: bool = operation not in SIDE_OPERATIONS and operation != "other"
        self.streams: bool = operation in STREAMED
        self.managing: bool = operation == "management"
        self.model_in_body: bool = (
            self.captured and self.route.protocol in NAMED_IN_BODY and not self.route.model_name
        )
        if self.model:
            self.route = Route(operation, self.route.protocol, self.model, self.route.model_version)


class Labels:
    """One per worker. `model_name` and `model_version` configured by the owner win over what is learned."""

    def __init__(self, totals: Writer, model_name: str, model_version: str) -> None:
        self._totals = totals
        self._name = model_name
        self._version = model_version
        self._confirmed: dict[str, set[str]] = {}
        self._learned: dict[str, str] = {}
        self._rules = ROUTES
        self._cache: dict[tuple[bytes, bytes], Labelled] = {}
        self._models: dict[tuple[str, str, str], Labelled] = {}
        self._generation = 0  # of the names; what was looked up under an older one is looked up anew

    def labelled(self, method: bytes, target: bytes) -> Labelled:
        """The route of a request head; cached by method and path, the query left out."""
        path = target.partition(b"?")[0] if b"?" in target else target
        found = self._cache.get((method, path))
        if found is None:
            text, word = path_of(path.decode("latin-1")), method.decode("latin-1")
            found = Labelled(self._rules, word, text)
            if len(method) + len(path) <= _MAX_CACHED_BYTES:
                if len(self._cache) >= _MAX_CACHED_TARGETS:
                    self._cache.clear()
                self._cache[method, path] = found
        return found

    def of_model(self, labelled: Labelled, name: str) -> Labelled:
        """The same for the model that the body of a request names; "" if it names none."""
        if self._name or not 0 < len(name) <= MAX_NAME_CHARACTERS:
            return labelled
        key = (labelled.method, labelled.path, name)
        found = self._models.get(key)
        if found is None:
            if len(self._models) >= _MAX_CACHED_MODELS:
                self._models.clear()
            found = self._models[key] = Labelled(self._rules, labelled.method, labelled.path, name)
        return found

    def use(self, rules: tuple[Rule, ...]) -> None:
        """Routes by these rules from the next exchange on, also on connections that are open."""
        if rules != self._rules:
            self._rules = rules
            self._generation += 1

    def learn(self, versions: dict[str, str]) -> None:
        """Versions that the analysis read from answers, by model name."""
        self._learned = dict(versions)
        self._generation += 1

    def block(self, labelled: Labelled, status: int) -> int:
        """The block of a finished exchange; a 2xx status confirms the names in its path. 0: no status line came."""
        if labelled.generation == self._generation:
            at = labelled.blocks.get(status)
            if at is not None:
                return at
        self._renew(labelled)
        route = labelled.route
        if 200 <= status < 300 and route.model_name and self._confirm(route):
            self._generation += 1
        name, version = self.named(labelled)
        code = str(status) if status else NO_CODE
        at = self._totals.block((name, version, route.operation, route.protocol or UNKNOWN, code))
        labelled.blocks[status] = at
        return at

    def _renew(self, labelled: Labelled) -> None:
        """Names or rules changed since it was looked up: later exchanges get other labels, counted ones keep theirs."""
        if labelled.generation != self._generation:
            labelled.generation = self._generation
            if labelled.rules is not self._rules:
                labelled.find(self._rules)
            labelled.blocks.clear()
            labelled.in_flight = -1
            labelled.named = None

    def in_flight_slot(self, labelled: Labelled) -> int:
        """The slot that counts exchanges in flight for what the head tells."""
        self._renew(labelled)
        at = labelled.in_flight
        if at < 0:
            route = labelled.route
            block = self._totals.block((self.name(route), route.operation, route.protocol or UNKNOWN))
            at = labelled.in_flight = block + self._totals.layout.block_slots - 1
        return at

    def named(self, labelled: Labelled) -> tuple[str, str]:
        """The model name and version that may be shown now."""
        self._renew(labelled)
        found = labelled.named
        if found is None:
            name = self.name(labelled.route)
            found = labelled.named = (name, self.version(labelled.route, name))
        return found

    def name(self, route: Route) -> str:
        """The model name that may be shown for a route now."""
        if self._name:
            return self._name
        if route.model_name in self._confirmed:
            return route.model_name
        return OTHER if route.model_name and len(self._confirmed) >= MAX_NAMES else UNKNOWN

    def version(self, route: Route, name: str) -> str:
        """The model version that may be shown for a route now."""
        if self._version:
            return self._version
        if route.model_version:
            known = self._confirmed.get(route.model_name, ())
            return route.model_version if route.model_version in known else UNKNOWN
        return self._learned.get(name, UNKNOWN)

    def _confirm(self, route: Route) -> bool:
        """Whether something new was confirmed."""
        if len(route.model_name) > MAX_NAME_CHARACTERS or len(route.model_version) > MAX_NAME_CHARACTERS:
            return False
        versions = self._confirmed.get(route.model_name)
        if versions is None:
            if len(self._confirmed) >= MAX_NAMES:
                return False
            versions = self._confirmed[route.model_name] = set()
        elif not route.model_version or route.model_version in versions or len(versions) >= MAX_NAMES:
            return False
        if route.model_version:
            versions.add(route.model_version)
        return True
