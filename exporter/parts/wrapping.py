"""The wrapped model of a root, put together from the configuration; nothing where no command is given."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.records import model_process
from exporter.settings.config import Config, upstream_of

if TYPE_CHECKING:
    from exporter.supervise.model import Model

_STOP_SECONDS = 5.0  # of the grace, for the model after the last exchange; a quarter of a short grace


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A command, and the soft limit on descriptors that it is to have; () is no command."""

    command: tuple[str, ...] = ()
    descriptors: int = 1024

    def stop_seconds(self, config: Config) -> float:
        """What of the grace is the model's."""
        return min(_STOP_SECONDS, config.grace / 4) if self.command else 0.0

    def page(self) -> int:
        """The descriptor of a page for what is counted; -1 without a command."""
        return model_process.create(time.time()) if self.command else -1

    def model(self, config: Config, page: int, ended: Callable[[int], None]) -> Model | None:
        """Not started yet."""
        if not self.command:
            return None
        # Loaded only for a command: every data plane comes by here, and most wrap nothing.
        from exporter.supervise.levels import level
        from exporter.supervise.model import Model, Plan
        from exporter.supervise.output import copying
        from exporter.supervise.policy import Policy
        from exporter.supervise.starting import Place

        upstream = upstream_of(config.upstream)
        counts = model_process.Page(page)
        plan = Plan(
            self.command,
            Place(upstream.host, upstream.port, upstream.path, config.probe_path),
            self.descriptors,
            signal.Signals[f"SIG{config.stop_signal}"],
            signal.Signals[f"SIG{config.death_signal}"],
        )
        output = copying(tuple(zip((1, 2), counts.streams.values(), strict=True)), level)
        policy = Policy(config.restart, config.restart_limit, config.restart_delay)
        return Model(plan, policy, counts, output, ended)
