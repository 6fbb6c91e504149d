"""What the owner configured about a model; the fields have the names of their settings."""

from dataclasses import dataclass

from exporter.records.rule import Rule
from exporter.records.segment import Segment
from exporter.records.threshold import Threshold

TIME_UNITS = ("s", "ms", "us", "ns")
JOIN_KEYS = ("column", "dialect", "request_id", "trace_id")
# As in `exporter.stats.STATISTICS`, which settings cannot ask: it loads numpy, and the data plane does without.
STATISTIC_NAMES = (
    *("psi", "jensen_shannon", "hellinger", "total_variation", "l_infinity"),
    *("chi_square", "kolmogorov_smirnov", "wasserstein"),
)


@dataclass(frozen=True, slots=True)
class Known:
    """Name and version ("" = not told), lengths of the windows, what outputs mean, what is counted, what joins.

    `missing_values` are written where a value is missing. `id_columns` are payload columns that identify a row, and no
    features; nor is `time_column`, which tells when a row happened: ISO 8601, or a number of `time_unit`.
    `warm_up` exchanges of each model version
    are left out, those with a field `warm_up_header` or `ignore_header` always; "" names no field. `drift_effects`:
    STATISTIC=VALUE, the least distance that is called drift. `label_groups`: by whose groups labels are counted.
    `series_budget`: series of a version's profiled columns.
    """

    model_name: str = ""
    model_version: str = ""
    windows: tuple[float, ...] = (300.0, 3600.0, 86_400.0, 604_800.0)
    task: str = ""
    positive_class: str = ""
    threshold: float = 0.5
    lower_output: str = ""
    upper_output: str = ""
    missing_values: tuple[str, ...] = ()
    id_columns: tuple[str, ...] = ()
    time_column: str = ""
    time_unit: str = ""
    rules: tuple[Rule, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    join_keys: tuple[str, ...] = JOIN_KEYS
    label_groups: tuple[Segment, ...] = ()
    warm_up: int = 0
    warm_up_header: str = ""
    ignore_header: str = ""
    role_header: str = ""
    drift_effects: tuple[str, ...] = ()
    series_budget: int = 3000
