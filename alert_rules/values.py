"""What an owner tunes, read from `values.yaml`: thresholds, windows and addresses, each of one kind.

It knows no PromQL beyond label names and durations. Other values than the committed ones are those of the file that
`MODELTAP_RULE_VALUES` names: windows are part of the names of recorded series, so values are known before any other
module of this package is read. Invariant: `problems` is empty, or nothing is generated.
"""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import yaml

from exporter.records.catalogue import LATENCY_BUCKETS
from exporter.records.generation_metrics import FIRST_TOKEN_BUCKETS

# Names the file of a user's own values; or `@`, and each value is written as what stands for it.
VARIABLE = "MODELTAP_RULE_VALUES"
PLACEHOLDERS = "@"
DEFAULTS = Path(__file__).resolve().parent / "values.yaml"

Ratio: TypeAlias = Annotated[float, "ratio"]
Positive: TypeAlias = Annotated[float, "positive"]
Bound: TypeAlias = Annotated[float, "bound"]
FirstTokenBound: TypeAlias = Annotated[float, "first_token_bound"]
Duration: TypeAlias = Annotated[str, "duration"]
Text: TypeAlias = Annotated[str, "text"]

# What keeps two models of one name apart, beside their own labels; an absent label is no harm. Every rule is grouped by
# it, so that it is no value to tune.
SCOPE = ("namespace", "job")

TARGETS: Text
RUNBOOK: Text
DASHBOARDS: Text
OWNER_METRIC: Text
MIN_REQUESTS: Positive
ERROR_RATIO: Ratio
LATENCY_P99: Bound
SLO_AVAILABILITY: Ratio
SLO_LATENCY: Ratio
SLO_LATENCY_SECONDS: Bound
SLO_TTFT: Ratio
SLO_TTFT_SECONDS: FirstTokenBound
SLO_PAGE_QUICK: Positive
SLO_PAGE_SLOW: Positive
SLO_TICKET_QUICK: Positive
SLO_TICKET_SLOW: Positive
SLO_MIN_FAILURES: Positive
EXPECTED_RATE: Positive
ERROR_CAUSE_RATIO: Ratio
CLIENT_ERROR_RATIO: Ratio
QUEUE_LENGTH: Positive
SHED_RATIO: Ratio
SLOWER_FACTOR: Positive
REPLICA_CHANGES: Positive
CLASS_SHIFT: Ratio
DRIFT_WINDOW: Duration
DRIFT_EFFECT: Positive
DRIFT_LARGE: Positive
DRIFT_BROKEN: Positive
DRIFT_FOR: Duration
MIN_ROWS: Positive
MISSING_EXCESS: Positive
INVALID_RATIO: Positive
OUTLIER_FACTOR: Positive
DUPLICATE_EXCESS: Positive
STALE_SECONDS: Positive
VOLUME_LOW: Positive
VOLUME_HIGH: Positive
PERFORMANCE_WINDOW: Duration
MIN_LABELLED: Positive
MIN_POSITIVES: Positive
CONTEST_WINDOW: Duration
INTERVAL_COVERAGE: Ratio
PARITY_RATIO: Ratio
EXPECTED_UNKNOWN: Ratio
EXPECTED_LAG_SECONDS: Positive
ECE: Positive
LABELS_SILENT: Duration
UNMATCHED_RATIO: Positive
LABEL_COVERAGE: Positive
LABEL_EVENNESS: Ratio
LABEL_LAG_SECONDS: Positive
STORE_USED: Positive
CERTIFICATE_SECONDS: Positive
GPU_HOT_MARGIN: Positive
GPU_HOT: Positive
GPU_MEMORY_FULL: Ratio
AVAILABILITY: Ratio
OBSERVED_SECONDS: Positive
COLD_START_SECONDS: Positive
MODEL_RESTARTS: Positive
VERSION_CHANGES: Positive
JOB_LATE: Positive
DROPPED_RATIO: Ratio
RESTARTS: Positive
DESYNC_RATIO: Ratio
MIN_DESYNCS: Positive
MEMORY_RATIO: Ratio
THROTTLED_RATIO: Ratio
DESCRIPTOR_RATIO: Ratio
TASK_RATIO: Ratio

BOUNDS: Mapping[str, tuple[float, ...]] = {"bound": LATENCY_BUCKETS, "first_token_bound": FIRST_TOKEN_BUCKETS}
DURATION = r"[1-9][0-9]*[smhd]"
# Names of metrics and addresses: nothing that ends a string of PromQL or YAML.
TEXT = r"""[^@\\'\n]*"""
KINDS: dict[str, str] = {
    name.lower(): kind.__metadata__[0]
    for name, kind in __annotations__.items()
    if hasattr(kind, "__metadata__")
}


class Number(float):
    """Counts as the default and is written as what stands for it: @name@, or @name:.0%@ for a percentage."""

    name: str

    def __format__(self, spec: str) -> str:
        return f"@{self.name}:{spec}@" if spec.endswith("%") else f"@{self.name}@"

    def __str__(self) -> str:
        return format(self)


def problems() -> list[str]:
    """Every value that makes no sensible rule, with what was expected."""
    found = list(_misread)
    for name, kind in KINDS.items():
        value = globals().get(name.upper())
        if value is not None and (expected := _expected(kind, value)):
            found.append(f"{name} = {value} {expected}")
    return found or _out_of_reach()


def _out_of_reach() -> list[str]:
    """Objectives so loose that not even the failure of everything would page."""
    known = globals()
    quick = known["SLO_PAGE_QUICK"]
    return [
        f"{name} = {known[name.upper()]:g} allows so much that slo_page_quick = {quick:g} is never reached; expected "
        f"more than {1 - 1 / quick:.3f}"
        for name in ("slo_availability", "slo_latency", "slo_ttft")
        if quick * (1 - known[name.upper()]) >= 1
    ]


def _expected(kind: str, value: Any) -> str:
    """What is wrong with a value of that kind, "" if nothing."""
    if isinstance(value, str) != (kind in ("duration", "text")) or isinstance(value, bool):
        return (
            f"is no {'text' if kind in ('duration', 'text') else 'number'}; expected a value of kind {kind}"
        )
    if kind in BOUNDS and value not in BOUNDS[kind]:
        bounds = ", ".join(f"{bound:g}" for bound in BOUNDS[kind])
        return f"is no bound of the latency histogram; expected one of {bounds}"
    wrong: dict[str, tuple[Callable[[], bool], str]] = {
        "ratio": (lambda: not 0 < value < 1, "is no ratio; expected a number between 0 and 1"),
        "positive": (lambda: value <= 0, "lets every quiet endpoint alert; expected a number above 0"),
        "duration": (lambda: not re.fullmatch(DURATION, value), "is no duration; expected such as 30m or 7d"),
        "text": (
            lambda: not re.fullmatch(TEXT, value),
            "would end a string; expected a text without @, \\ and '",
        ),
    }
    check, said = wrong.get(kind, (lambda: False, ""))
    return said if check() else ""


def _read(path: Path) -> dict[str, Any]:
    """The values of a file by their names; what is wrong with it is told by `problems`."""
    try:
        read = yaml.safe_load(path.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        _misread.append(f"{path} cannot be read: {error}")
        return {}
    if not isinstance(read, dict):
        _misread.append(f"{path} holds no values; expected lines such as error_ratio: 0.05")
        return {}
    _misread.extend(f"{name} is no value; {DEFAULTS.name} lists them" for name in read if name not in KINDS)
    known = {name: value for name, value in read.items() if name in KINDS}
    # Helm knows one kind of number, and writes 450.0 as 450.
    return {name: int(v) if isinstance(v, float) and v.is_integer() else v for name, v in known.items()}


def _standing(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return f"@{name}@"
    number = Number(value)
    number.name = name
    return number


def _values() -> dict[str, Any]:
    """By name: the defaults, over them a user's own."""
    chosen = _read(DEFAULTS)
    _misread.extend(f"{name} is missing in {DEFAULTS.name}" for name in KINDS if name not in chosen)
    other = os.environ.get(VARIABLE, "")
    if other == PLACEHOLDERS:
        return {name: _standing(name, value) for name, value in chosen.items()}
    return chosen | (_read(Path(other)) if other else {})


_misread: list[str] = []
globals().update({name.upper(): value for name, value in _values().items()})
