"""A protocol of the owner's own: JSON bodies on a path, and JMESPath expressions that pick what they say.

`inputs` and `input_names` look at the request, `outputs`, `output_names`, `class` and `score` at the answer;
`request_id`, `model_name` and `model_version` at the answer and, where nothing is there, at the request. Expressions
are compiled once. They are the owner's and trusted in length and time; the bodies are not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import jmespath  # type: ignore[import-untyped]

from exporter.decode.columns import Role, categorical_columns, checked, numeric_columns
from exporter.decode.payload import identifier, text
from exporter.decode.payload import parse as parse_body
from exporter.decode.readings import Reading, agree, alone, readings
from exporter.decode.tables import column_names, named_rows
from exporter.records.custom import FAILURES, Custom, parse
from exporter.records.exchange import Exchange
from exporter.records.observation import Columns, Observation, Undecodable
from exporter.records.routes import Rule, custom_rule, match

NAME: Final = "custom"
_JSON: Final = (dict, list, str, int, float, bool)

Search = Callable[[Any], Any]


def dialect(custom: Custom) -> "CustomDialect":
    """The dialect of a Custom, its expressions compiled; CustomError as `parse` raises it."""
    given = {field.name.rstrip("_"): getattr(custom, field.name) for field in fields(Custom)}
    parse({key: list(value) if type(value) is tuple else value for key, value in given.items()})
    searches = {key: value for key, value in given.items() if key != "path" and value and type(value) is str}
    compiled = {key: jmespath.compile(value).search for key, value in searches.items()}
    return CustomDialect(custom, custom_rule(custom.path), compiled)


@dataclass(frozen=True, slots=True, eq=False)
class CustomDialect:
    """A dialect that the owner described: JSON bodies on its path, picked apart by JMESPath expressions."""

    custom: Custom
    rule: Rule
    compiled: Mapping[str, Search]

    @property
    def NAME(self) -> str:
        """The protocol label."""
        return NAME

    def claims(self, exchange: Exchange) -> bool:
        """True on the path of the description, whatever else the route table takes it for."""
        return match(exchange.method, exchange.path, (self.rule,)).protocol == NAME

    def decode(self, exchange: Exchange) -> Observation:
        """The Observation; row n of each table belongs to row n of the others. Raises Undecodable."""
        request = _Body(exchange.request_body)
        response = _Body(exchange.response_body)
        sides: list[Sequence[Reading]] = []
        if "inputs" in self.compiled:
            names = self._names("input_names", request)
            sides.append(_table(self._pick("inputs", request), names, "input"))
        answered = len(sides)
        if "outputs" in self.compiled:
            names = self._names("output_names", response)
            sides.append(_table(self._pick("outputs", response), names, "output"))
        if "class" in self.compiled:
            sides.append(_single(self._pick("class", response), _classes))
        if "score" in self.compiled:
            sides.append(_single(self._pick("score", response), _scores))
        try:
            rows, tables = agree(*sides)
        except ValueError as error:  # an expression made a number of more digits than any parser lets pass
            raise Undecodable("number_range") from error
        route = match(exchange.method, exchange.path, (self.rule,))
        return Observation(
            protocol=NAME,
            rows=rows,
            inputs=checked([column for table in tables[:answered] for column in table]),
            outputs=checked([column for table in tables[answered:] for column in table]),
            model_name=text(self._either("model_name", response, request)) or route.model_name,
            model_version=text(self._either("model_version", response, request)) or route.model_version,
            request_id=identifier(self._either("request_id", response, request)),
        )

    def request(self, exchange: Exchange) -> Observation:
        """What the request says without an answer. Raises Undecodable."""
        asked = _Body(exchange.request_body)
        if "inputs" not in self.compiled:
            raise Undecodable("missing_field")
        side = _table(self._pick("inputs", asked), self._names("input_names", asked), "input")
        route = match(exchange.method, exchange.path, (self.rule,))
        name = text(self._either("model_name", asked, asked)) or route.model_name
        try:
            return alone(NAME, side, name)
        except ValueError as error:  # as in `decode`
            raise Undecodable("number_range") from error

    def _pick(self, key: str, body: "_Body") -> Any:
        try:
            found = self.compiled[key](body.value())
        except FAILURES as error:
            raise Undecodable("expression") from error
        if found is not None and type(found) not in _JSON:
            raise Undecodable("expression")
        return found

    def _either(self, key: str, first: "_Body", second: "_Body") -> Any:
        """A join key or a name: nothing is lost but itself where it is not found."""
        if key not in self.compiled:
            return None
        for body in (first, second):
            try:
                found = self._pick(key, body)
            except Undecodable:
                continue
            if found is not None:
                return found
        return None

    def _names(self, key: str, body: "_Body") -> tuple[str, ...]:
        given = self.custom.input_names if key == "input_names" else self.custom.output_names
        if type(given) is tuple:
            return given
        if not given:
            return ()
        found = self._pick(key, body)
        if type(found) is not list:
            raise Undecodable("missing_field" if found is None else "wrong_type")
        return column_names(found)


class _Body:
    """A body, parsed when the first expression looks at it, and only then."""

    __slots__ = ("_body", "_reason", "_value")

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._reason = ""
        self._value: Any = None

    def value(self) -> Any:
        """The JSON value; Undecodable as `payload.parse` raises it."""
        if self._body is not None:
            body, self._body = self._body, None
            try:
                self._value = parse_body(body)
            except Undecodable as refusal:
                self._reason = refusal.reason
        if self._reason:
            raise Undecodable(self._reason)
        return self._value


def _table(value: Any, names: tuple[str, ...], role: Role) -> Sequence[Reading]:
    if type(value) is not list or not names:
        return readings("input" if role == "input" else "prediction", value, role)[:1]
    rows = value
    if rows and list not in map(type, rows):
        # A flat list is one row of a value per name, or a row of one value for each of them.
        rows = [rows] if len(names) > 1 else [[cell] for cell in rows]
    return (Reading(len(rows), lambda: named_rows(names, rows, role)),)


def _single(value: Any, make: Callable[[list[Any]], Columns]) -> Sequence[Reading]:
    if value is None:
        raise Undecodable("missing_field")
    cells = value if type(value) is list else [value]
    if set(map(type, cells)) & {dict, list}:
        raise Undecodable("wrong_type")
    return (Reading(len(cells), lambda: make(cells) if cells else []),)


def _classes(cells: list[Any]) -> Columns:
    return categorical_columns(("class",), cells)


def _scores(cells: list[Any]) -> Columns:
    return numeric_columns(("score",), cells)
