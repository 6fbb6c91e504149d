"""The rows "Model and files" and "Thresholds": what a model is, whether it is what is expected, where scores lie.

It knows which question each panel answers. Invariant: shares of scores are summed over replicas before they are
divided, by the rows that have such a score.
"""

from collections.abc import Sequence

from dashboards.panels import Panel, Query, empty, sized, stacked, table, timeseries
from dashboards.queries import gauge, increase, rate, total
from dashboards.variables import MODEL, OBSERVED, SERIES, TARGET

NO_DESCRIPTIONS = "No descriptions configured"
NO_FILES = "No artifacts configured"
NO_THRESHOLDS = "No thresholds declared"
_AT = ("model_version", "threshold")


def panels() -> Sequence[Panel]:
    """Of the model."""
    return (*_descriptions(), *_files(), *_changes(), *_hashing())


def _descriptions() -> Sequence[Panel]:
    """What the owner says, who that is, and whether it is what is expected."""
    owners = f"count by (model_name, owner, team) ({gauge('model.owner', MODEL)})"
    versions = ("model_name", "model_version", "run_id", "digest")
    said = f"count by ({', '.join(versions)}) ({gauge('model.description', SERIES)})"
    parts = ("model_name", "model_version", "section", "digest")
    sections = f"count by ({', '.join(parts)}) ({gauge('model.description.section', SERIES)})"
    states = f"count by (path, state) ({gauge('model.description.state', TARGET)})"
    found = (
        _table("Owners", "Replicas by whom each model belongs to.", ("model_name", "owner", "team"), owners),
        _table("Descriptions", "Replicas by what is said of each version.", versions, said),
        _table("Sections", "Replicas by the digest of each section of a description.", parts, sections),
        _wide(_table("Files of descriptions", "Replicas by the state of each.", ("path", "state"), states)),
    )
    return tuple(empty(panel, NO_DESCRIPTIONS) for panel in found)


def _files() -> Sequence[Panel]:
    states = f"count by (artifact, state) ({gauge('model.artifact.state', TARGET)})"
    digests = f"count by (artifact, digest) ({gauge('model.artifact', TARGET)})"
    size = f"max by (artifact) ({gauge('model.artifact.size', TARGET)})"
    age = f"time() - min by (artifact) ({gauge('model.artifact.hash_time', TARGET)})"
    return (
        _wide(
            _table("Files of the model", "Replicas by the state of each file.", ("artifact", "state"), states)
        ),
        _wide(
            _table(
                "Digests", "Replicas by the digest (SHA-256) of each file.", ("artifact", "digest"), digests
            )
        ),
        _wide(
            empty(
                table(
                    "Files: size and age of the digest",
                    "Bytes, and the time since the oldest digest of any replica was taken.",
                    ("artifact",),
                    {
                        "Size": (Query(size, shape="table"), "bytes"),
                        "Hashed before": (Query(age, shape="table"), "s"),
                    },
                ),
                NO_FILES,
            )
        ),
    )


def _changes() -> Sequence[Panel]:
    """What became another, and what is expected to be two things."""
    conflicts = f"count by (artifact) ({gauge('model.artifact.conflict', TARGET)})"
    changes = total(increase("model.description.changes", MODEL), "model_name", "section")
    text = "Replicas on which a description declares another digest than is expected."
    return (
        empty(_table("Files with two expectations", text, ("artifact",), conflicts), "None"),
        empty(
            timeseries(
                "Changes of descriptions",
                "Sections that say something else than before.",
                "short",
                Query(changes, "{{model_name}} {{section}}"),
            ),
            NO_DESCRIPTIONS,
        ),
    )


def _wide(panel: Panel) -> Panel:
    """Paths and digests are long."""
    return sized(panel, 12, 8)


def _hashing() -> Sequence[Panel]:
    done = total(increase("model.artifact.hashes", TARGET), "outcome")
    changes = total(increase("model.artifact.changes", TARGET), "artifact")
    left_out = f"max by (reason) ({gauge('model.artifact.left_out', TARGET)})"
    return (
        _lines(
            "Files hashed",
            "Digests taken by outcome, and those that were another one than before.",
            Query(done, "{{outcome}}"),
            Query(changes, "changed: {{artifact}}"),
        ),
        empty(
            timeseries(
                "Bytes hashed",
                "Bytes a second that were read for it, all replicas together.",
                "Bps",
                Query(total(rate("model.artifact.hashed", TARGET)), "read"),
            ),
            NO_FILES,
        ),
        _lines(
            "Files not watched",
            "Files over the bound or that no label can name, and lines of lists that say nothing.",
            Query(left_out, "{{reason}}"),
        ),
    )


def thresholds() -> Sequence[Panel]:
    """Of its scores."""
    rows = "model.threshold.rows"
    every = f'{OBSERVED}, position!="missing"'
    among = f"({total(increase(rows, every), *_AT)} > 0)"
    above = total(increase(rows, f'{OBSERVED}, position=~"just_above|above"'), *_AT)
    near = total(increase(rows, f'{OBSERVED}, position=~"just_below|just_above"'), *_AT)
    value = f"max by (model_version, threshold) ({gauge('model.threshold.value', OBSERVED)})"
    band = f"max by (model_version, threshold) ({gauge('model.threshold.band', OBSERVED)})"
    legend = "{{model_version}} {{threshold}}"
    places = timeseries(
        "Scores by position",
        "Predicted rows by where their score lies; missing has none.",
        "short",
        Query(total(increase(rows, OBSERVED), "threshold", "position"), "{{threshold}} {{position}}"),
    )
    shares = (
        _share(
            "Share above the threshold",
            "Rows whose score is at the threshold or above it.",
            above,
            among,
            legend,
        ),
        _share(
            "Share near the threshold",
            "Rows whose score is within its band, on either side.",
            near,
            among,
            legend,
        ),
    )
    declared = table(
        "Thresholds",
        "What is declared for each version.",
        _AT,
        {"Value": (Query(value, shape="table"), "short"), "Band": (Query(band, shape="table"), "short")},
    )
    return (
        *shares,
        empty(stacked(places), NO_THRESHOLDS),
        empty(sized(declared, 8, 8), NO_THRESHOLDS),
    )


def _share(title: str, text: str, part: str, among: str, legend: str) -> Panel:
    return empty(timeseries(title, text, "percentunit", Query(f"{part} / {among}", legend)), NO_THRESHOLDS)


def _lines(title: str, text: str, *queries: Query) -> Panel:
    return empty(timeseries(title, text, "short", *queries), NO_FILES)


def _table(title: str, text: str, labels: tuple[str, ...], query: str) -> Panel:
    columns = {"Replicas": (Query(query, shape="table"), "short")}
    return sized(empty(table(title, text, labels, columns), NO_FILES), 8, 8)
