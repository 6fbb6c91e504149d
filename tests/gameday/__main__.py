"""`python -m tests.gameday`: every scene against parts started here, or a drill against a Prometheus of yours.

Exit status: 0 if everything arrived that should, 1 if not, 2 if what was asked for makes no sense.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.e2e.monitoring import Prometheus
from tests.gameday import scenes, theirs
from tests.gameday.manager import Manager
from tests.gameday.stage import staged

HERE = tuple(scene.__name__ for scene in scenes.SCENES)
THERE = tuple(scene.__name__ for scene in theirs.SCENES)


def say(line: str) -> None:
    print(line, flush=True)


def here(names: list[str]) -> None:
    """The scenes of that name, with everything started and ended."""
    with (
        tempfile.TemporaryDirectory(prefix="modeltap-gameday-") as folder,
        staged(Path(folder), say) as stage,
    ):
        say(f"Prometheus {stage.prometheus.url}, Alertmanager {stage.manager.url}")
        for scene in scenes.SCENES:
            if scene.__name__ in names:
                scenes.play(stage, scene, say)


def there(chosen: argparse.Namespace, names: list[str]) -> None:
    """The same against addresses of a user's."""
    commands = {"down": chosen.down, "up": chosen.up}
    manager = Manager(chosen.alertmanager)
    they = theirs.Theirs(
        Prometheus(chosen.prometheus.rstrip("/")),
        manager,
        chosen.sidecar,
        chosen.seconds,
        commands,
        say,
        input,
    )
    for scene in theirs.SCENES:
        if scene.__name__ in names:
            scenes.play(they, scene, say)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.gameday", description=__doc__)
    parser.add_argument("--prometheus", default="", help="address of your Prometheus")
    parser.add_argument("--alertmanager", default="", help="address of your Alertmanager")
    parser.add_argument(
        "--sidecar", default="", help="instance that your Prometheus scrapes, such as wine:9464"
    )
    parser.add_argument(
        "--down", default="", help="command that stops your model (default: you are asked to)"
    )
    parser.add_argument("--up", default="", help="command that starts it again")
    parser.add_argument(
        "--seconds", type=float, default=600.0, help="how long to wait for an alert (default 600)"
    )
    parser.add_argument("--scene", action="append", help="only this one; may be repeated (default: all)")
    chosen = parser.parse_args()
    if bool(chosen.prometheus) != bool(chosen.alertmanager):
        parser.error("--prometheus and --alertmanager go together; without both, everything is started here")
    known = THERE if chosen.prometheus else HERE
    for name in chosen.scene or ():
        if name not in known:
            parser.error(f"--scene {name}: expected one of {', '.join(known)}")
    chosen.scene = chosen.scene or list(known)
    return chosen


def main() -> int:
    """Run the command line; gives the exit status."""
    chosen = arguments()
    play: Callable[[], None] = (
        (lambda: there(chosen, chosen.scene)) if chosen.prometheus else (lambda: here(chosen.scene))
    )
    try:
        play()
    except (AssertionError, OSError, subprocess.CalledProcessError) as error:
        say(f"failed: {error}")
        return 1
    say("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
