"""`python -m tests.pictures [--minutes N] [--url PROMETHEUS] [NAME...]`; `--lists`, `--types` only check.

It decides what is drawn and where it goes: `docs/pictures/NAME-MODE-N.png`, N counting from the top, and the page that
shows them.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from dashboards.generate import DASHBOARDS, HERE
from tests.e2e.monitoring import Prometheus
from tests.pictures import workshop
from tests.pictures.gather import gathered
from tests.pictures.pages import PAGE, TARGET, kept, page
from tests.pictures.scene import SCRAPE_SECONDS, scene

LISTS = HERE.parent / "tests" / "dashboards" / "grafana.json"
MODES = ("dark", "light")
MINUTES = 20.0
# What is chosen on top; the rest is as the dashboard comes.
CHOSEN = {
    **{"feature": "MedInc", "window": "5m", "first_token_target": "0.04"},
    # As Grafana has it for this interval of scrapes.
    "__rate_interval": f"{4 * SCRAPE_SECONDS}s",
}
HOUSING, LLAMA = ({"model_name": name, "instance": f"{name}-0"} for name in ("housing", "llama"))
MODELS = {"model": HOUSING, "drift": HOUSING, "performance": HOUSING, "llm": LLAMA}
# Of one file; a longer page is cut between panels.
HEIGHT = 2300


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.pictures", description="Draw the dashboards.")
    parser.add_argument("names", nargs="*", help="files to draw, such as overview (default: all)")
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, help="how long the scene runs (default: 20)"
    )
    parser.add_argument("--until", type=float, help="unix time of the end, of a scene that there is already")
    parser.add_argument("--url", help="a Prometheus that has such a scene already")
    parser.add_argument("--modes", default=",".join(MODES), help="themes (default: dark,light)")
    parser.add_argument("--types", action="store_true", help="only hold the JSON against Grafana's types")
    parser.add_argument(
        "--lists", action="store_true", help="only print Grafana's lists of units and transformations"
    )
    options = parser.parse_args(arguments)
    try:
        workshop.opened()
        if options.lists or options.types:
            print(_lists() if options.lists else _types(), end="")
            return 0
        _types()
        workshop.called(workshop.BUNDLE)
        asyncio.run(_drawn(options))
    except workshop.Failed as error:
        print(f"pictures: {error}", file=sys.stderr)
        return 1
    return 0


def _lists() -> str:
    return workshop.called(["node", "known.cjs"])


def _types() -> str:
    return workshop.called(["node", "types.cjs", *(HERE / name for name, _ in DASHBOARDS)])


async def _drawn(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="housing-") as name:
        folder = Path(name)
        if options.url:
            await asyncio.to_thread(_all, options, options.url, folder)
            return
        async with scene(folder) as url:
            print(f"{url} for {options.minutes:g} minutes", flush=True)
            await asyncio.sleep(options.minutes * 60)
            await asyncio.to_thread(_all, options, url, folder)


def _all(options: argparse.Namespace, url: str, folder: Path) -> None:
    TARGET.mkdir(exist_ok=True)
    end = (options.until or time.time()) // SCRAPE_SECONDS * SCRAPE_SECONDS
    span = (end - options.minutes * 60, end)
    for name, build in DASHBOARDS:
        stem = name.removesuffix(".json")
        if options.names and stem not in options.names:
            continue
        sheet = folder / f"{stem}.json"
        chosen = CHOSEN | MODELS.get(stem, {})
        sheet.write_text(json.dumps(gathered(build(), Prometheus(url), chosen, span)))
        for mode in options.modes.split(","):
            for old in kept(stem, mode):
                old.unlink()
            print(
                workshop.called(["node", "shoot.cjs", sheet, mode, TARGET / f"{stem}-{mode}", str(HEIGHT)]),
                end="",
            )
            for picture in kept(stem, mode):
                print(f"{picture.name}: {picture.stat().st_size // 1024} KiB", flush=True)
    PAGE.write_text(page(PAGE.read_text()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
