"""Rules about what a model is made of: files that are not what is expected; shares of scores at declared thresholds.

It knows files and thresholds, not what they mean. Invariant: shares are summed over replicas before they are divided,
by the rows that have such a score.
"""

from alert_rules.rules import MODEL, Alert, Group, Record, series, total
from alert_rules.values import SCOPE

_FILE = (*SCOPE, "artifact")
_AT = (*MODEL, "role", "threshold")
ABOVE = "threshold:model_scores_above:ratio_increase1h"
NEAR = "threshold:model_scores_near:ratio_increase1h"
OF = "{{ $labels.artifact }} of job {{ $labels.job }}"


def group() -> Group:
    return Group("modeltap-description", _shares(), _files())


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
            _in("missing|unreadable"),
            "A file of a model is not there or cannot be read.",
            f"{OF} is missing or unreadable on {{{{ $value }}}} replicas, for five minutes.",
        ),
    )


def _in(states: str) -> str:
    """Replicas by file, none where there are none."""
    selector = f'state=~"{states}"' if "|" in states else f'state="{states}"'
    return f"count by ({', '.join(_FILE)}) ({series('model.artifact.state', selector)} == 1)"
