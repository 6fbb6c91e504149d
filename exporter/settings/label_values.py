"""How settings of what labels are worth are read: costs and KPIs. Each takes what a file has, or that as JSON."""

import json
from typing import Any

from exporter.records.cost import Cost
from exporter.records.cost import parse as parse_costs
from exporter.records.kpi import MAX_KPIS, Kpi
from exporter.records.kpi import parse as parse_kpis


def costs(value: Any) -> tuple[Cost, ...]:
    """What right and wrong answers cost. Problems tells all."""
    found = _read(value, "a mapping of mappings")
    if isinstance(found, tuple) and all(isinstance(one, Cost) for one in found):
        return found
    if not isinstance(found, dict):
        raise ValueError("expected {TRUE CLASS: {PREDICTED CLASS: COST}}")
    return parse_costs(found)


def kpis(value: Any) -> tuple[Kpi, ...]:
    """A list of KPIs. Problems tells all."""
    found = _read(value, "a list of mappings")
    if isinstance(found, tuple) and all(isinstance(one, Kpi) for one in found):
        return found
    if not isinstance(found, list) or len(found) > MAX_KPIS:
        raise ValueError(f"expected a list of at most {MAX_KPIS} mappings")
    return parse_kpis(found)


def _read(value: Any, expected: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError(f"expected {expected}, as JSON") from None
