"""Kept joint: what columns have in common, kept over a restart beside the windows of each side.

A side of its own in the file, named `joint`, so that an analysis that does not know it leaves it and takes the rest.
Refuses to know files and time.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from exporter.analysis.kept import KeptSide
from exporter.stats import Profile, SnapshotError
from exporter.stats.joint import JointWindows
from exporter.stats.joint_snapshot import joint_from_bytes, joint_to_bytes

JOINT: Final = "joint"


def joint_head(reference: str) -> dict[str, Any]:
    """What a `KeptSide` says of it besides the model."""
    return {"side": JOINT, "reference": reference, "columns": (), "derived": ()}


def kept_joint(joint: JointWindows) -> Callable[[], bytes]:
    """Writes a copy of what it is now; in any thread."""
    return partial(joint_to_bytes, joint.parts, joint.rolling())


def restore_joint(joint: JointWindows | None, profile: Profile | None, kept: KeptSide) -> None:
    """Take over what was counted before the restart. Raises SnapshotError."""
    if joint is None or profile is None:
        raise SnapshotError("columns together, of which no reference in use tells")
    if kept.reference != profile.reference:
        raise SnapshotError(f"columns together of reference {kept.reference or 'none'}, another is in use")
    joint.take(joint_from_bytes(kept.windows, joint.parts, joint.lengths))
