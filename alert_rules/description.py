"""Rules about what a model is: files and descriptions that are not what is expected; owners; scores at thresholds.

It knows files and thresholds, not what they mean. Invariant: shares are summed over replicas before they are divided,
by the rows that have such a score.
"""

from alert_rules.rules import MODEL, Alert, Group, Record, series, total
from alert_rules.values import SCOPE

_FILE = (*SCOPE, "artifact")
_NAMED = (*SCOPE, "model_name")
_AT = (*MODEL, "role", "threshold")
OWNER = "model:model_owner:max"
ABOVE = "threshold:model_scores_above:ratio_increase1h"
NEAR = "threshold:model_scores_near:ratio_increase1h"
OF = "{{ $labels.artifact }} of job {{ $labels.job }}"


def group() -> Group:
    return Group("modeltap-description", (_owner(), *_shares()), (*_files(), *_descriptions()))


def _owner() -> Record:
    """Once for each model, so that an alert can be joined with it."""
    return Record(OWNER, f"max by ({', '.join((*_NAMED, 'owner', 'team'))}) ({series('model.owner')})")


def _shares() -> tuple[Record, ...]:
    among = f"({_rows('below|just_below|just_above|above')} > 0)"
    return (
        Record(ABOVE, f"{_rows('just_above|above')} / {among}"),
        Record(NEAR, f"{_rows('just_below|just_above')} / {among}"),
    )


def _rows(positions: str) -> str:
    selector = f'position=~"{positions}"'
    return total(f"increase({series('model.threshold.rows', selector)}[1h])", *_AT)


def _files() -> tuple[Alert, ...]:
    return (
        Alert(
            "ArtifactMismatch",
            "critical",
            "0m",
            _in("mismatch"),
            "A file of a model is not the one that is expected.",
            f"{OF} has another digest than is expected on {{{{ $value }}}} replicas; model_artifact_info has it.",
        ),
        Alert(
            "ArtifactMissing",
            "warning",
            "5m",
            _in("missing|unreadable|outside"),
            "A file of a model is not there or cannot be read.",
            f"{OF} is missing or unreadable on {{{{ $value }}}} replicas, for five minutes.",
        ),
        Alert(
            "ArtifactConflict",
            "warning",
            "5m",
            f"count by ({', '.join(_FILE)}) ({series('model.artifact.conflict')} == 1)",
            "A description of a model declares another digest of a file than is expected.",
            f"Of {OF} a description declares another digest than the settings, or than a description before it, on "
            "{{ $value }} replicas, for five minutes; it is compared with theirs.",
        ),
    )


def _descriptions() -> tuple[Alert, ...]:
    wrong = series("model.description.state", 'state="mismatch"')
    changed = f"round(increase({series('model.description.changes')}[1h]))"
    return (
        Alert(
            "DescriptionMismatch",
            "warning",
            "1m",
            f"count by ({', '.join((*SCOPE, 'path'))}) ({wrong} == 1)",
            "The description of a model is not the one that is expected.",
            "{{ $labels.path }} of job {{ $labels.job }} says something else than is expected on {{ $value }} "
            "replicas; model_description_info has its digest.",
        ),
        Alert(
            "DescriptionChanged",
            "info",
            "0m",
            f"max by ({', '.join((*_NAMED, 'section'))}) ({changed}) > 0",
            "The description of a model says something else than before.",
            "{{ $labels.section }} of model {{ $labels.model_name }} (job {{ $labels.job }}) changed {{ $value }} "
            "times within an hour, while its sidecar ran.",
        ),
    )


def _in(states: str) -> str:
    """Replicas by file, none where there are none."""
    selector = f'state=~"{states}"' if "|" in states else f'state="{states}"'
    return f"count by ({', '.join(_FILE)}) ({series('model.artifact.state', selector)} == 1)"
