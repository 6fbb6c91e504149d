"""The folder of npm packages below `.venv`: what is pinned in package.json, our sources beside them, the bundle.

It knows npm and no dashboard. Invariant: packages are installed again only when package.json has changed.
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORKSHOP = HERE.parents[1] / ".venv" / "pictures"
BUNDLE = (
    *("node_modules/.bin/esbuild", "sheet.tsx", "--bundle", "--minify", "--outfile=sheet.js"),
    *("--loader:.woff2=dataurl", "--loader:.ttf=dataurl", "--loader:.svg=dataurl"),
    *('--define:process.env.NODE_ENV="production"', "--log-level=warning"),
)


class Failed(Exception):
    """A command of npm's world failed; the text is what it said."""


def opened() -> Path:
    """The folder, complete."""
    WORKSHOP.mkdir(parents=True, exist_ok=True)
    pinned, stamp = (HERE / "package.json").read_text(), WORKSHOP / "package.stamp"
    for path in HERE.iterdir():
        if path.suffix in (".cjs", ".tsx", ".json"):
            shutil.copy(path, WORKSHOP)
    if not stamp.is_file() or stamp.read_text() != pinned:
        called(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"])
        stamp.write_text(pinned)
    return WORKSHOP


def called(command: Sequence[str | Path]) -> str:
    """What a command says that runs in the folder; Failed if it fails."""
    try:
        done = subprocess.run(command, cwd=WORKSHOP, capture_output=True, text=True, check=False, timeout=600)
    except FileNotFoundError as error:
        raise Failed(f"{error.filename} is not installed; expected Node.js 20 with npm") from error
    if done.returncode:
        raise Failed(f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr
