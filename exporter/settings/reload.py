"""What a configuration that is read again changes in a sidecar that runs: two Configs in, the one to go on with out.

Pure. What may not change while it runs stays as it was and is told; so is a limit that this sidecar cannot keep.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from exporter.settings.config import Config, proxy_settings
from exporter.settings.options import SETTINGS

_REFUSING_MODES = ("gate", "strict")
RELOADABLE = frozenset(
    (
        *("max_concurrency", "max_queue", "shed_status", "max_connections", "capture_bytes", "capture_total"),
        *("custom", "protocol", "access_log_sample"),
        *("drain_quiet", "grace", "final_scrape_wait", "log_level"),
        *(setting.key for setting in SETTINGS if setting.key.endswith("_timeout")),
    )
)


@dataclass(frozen=True, slots=True)
class Reload:
    """`config` is what holds now; the others are lines for the log."""

    config: Config
    changed: tuple[str, ...]
    refused: tuple[str, ...]


def reload(old: Config, new: Config, mode: str) -> Reload:
    """Take over from `new` what may change; `mode` is the one that the data plane was started in."""
    taken: dict[str, Any] = {}
    changed, refused = [], []
    for key in Config.__struct_fields__:
        before, after = getattr(old, key), getattr(new, key)
        if before == after or (key == "mode" and proxy_settings(new).mode == mode):
            continue
        reason = _obstacle(key, after, old.workers, mode)
        if reason:
            refused.append(f"{key}: {before!r} stays, {after!r} is not taken: {reason}")
        else:
            taken[key] = after
            changed.append(f"{key} {before} -> {after}")
    return Reload(msgspec.structs.replace(old, **taken), tuple(changed), tuple(refused))


def _obstacle(key: str, after: Any, workers: int, mode: str) -> str:
    """Why that setting cannot become `after` now, or ""."""
    if key not in RELOADABLE:
        return "it needs a restart"
    if key == "max_concurrency" and after:
        if workers > 1:
            return "a limit needs one worker"
        if mode not in _REFUSING_MODES:
            return f"--mode {mode} never refuses; a restart with gate or strict is needed"
    return ""
