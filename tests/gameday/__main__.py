"""`python -m tests.gameday`: every scene against parts started here, or, with addresses, a drill against your own.

Exit status: 0 if everything arrived that should, 1 if not.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.gameday.scenes import SCENES, play
from tests.gameday.stage import staged


def say(line: str) -> None:
    print(line, flush=True)


def here(names: list[str]) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="modeltap-gameday-") as folder,
        staged(Path(folder), say) as stage,
    ):
        say(f"Prometheus {stage.prometheus.url}, Alertmanager {stage.manager.url}")
        for scene in SCENES:
            if scene.__name__ in names:
                play(stage, scene)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gameday", description=__doc__)
    names = [scene.__name__ for scene in SCENES]
    parser.add_argument(
        "--scene", action="append", choices=names, help="only this one; may be repeated (default: all)"
    )
    chosen = parser.parse_args()
    try:
        here(chosen.scene or names)
    except AssertionError as error:
        say(f"failed: {error}")
        return 1
    say("passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
