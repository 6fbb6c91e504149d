"""Grafana's own model of a dashboard reads ours and loses nothing: a key that it does not know would be gone."""

import copy
import json
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins

from tests.dashboards.built import NAMES, built
from tests.dashboards.linter import Dashboard, panels

# The model has no key for the filters that a variable of type adhoc begins with; Grafana writes it.
UNKNOWN = {"filters"}


@cache
def model() -> Any:
    """The classic schema, which the SDK would rather see replaced."""
    register_default_plugins()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return import_module("grafana_foundation_sdk.models.dashboard").Dashboard


def lost(kept: Any, returned: Any, path: str = "") -> Iterator[str]:
    """Where a dashboard that came back differs; what the model adds is no loss."""
    if isinstance(kept, dict) and isinstance(returned, dict):
        for key, value in kept.items():
            if key in returned:
                yield from lost(value, returned[key], f"{path}/{key}")
            elif key not in UNKNOWN:
                yield f"{path}/{key}"
    elif isinstance(kept, list) and isinstance(returned, list) and len(kept) == len(returned):
        for at, pair in enumerate(zip(kept, returned, strict=True)):
            yield from lost(*pair, f"{path}/{at}")
    elif kept != returned:
        yield path


def returned(dashboard: Dashboard) -> Any:
    return json.loads(json.dumps(model().from_json(dashboard), cls=JSONEncoder))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_lost(name: str) -> None:
    """A dashboard comes back from the SDK's model as it went in."""
    assert list(lost(built(name), returned(built(name)))) == []


BREAKAGES: dict[str, Callable[[Dashboard], object]] = {
    "panelz": lambda d: d.update(panelz=[]),
    "unitt": lambda d: next(panels(d))["fieldConfig"]["defaults"].update(unitt="s"),
    "graphMod": lambda d: next(panels(d))["options"].update(graphMod="area"),
    "exprs": lambda d: next(panels(d))["targets"][0].update(exprs="up"),
    "labell": lambda d: d["templating"]["list"][0].update(labell="Data source"),
}


@pytest.mark.parametrize("key", BREAKAGES)
def test_a_wrong_key_is_found(key: str) -> None:
    """A key that Grafana does not know, at any depth, is found."""
    broken = copy.deepcopy(built(NAMES[0]))
    BREAKAGES[key](broken)
    assert [path.rpartition("/")[2] for path in lost(broken, returned(broken))] == [key]
