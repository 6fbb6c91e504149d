"""`python -m tests.fuzz`: make the fuzzer's environment, run it on the followers, say what it did.

Exit status: 0 if no input broke a law, 1 if one did (it lies beside the message), 2 if the fuzzer could not run. What
a run finds stays in `.tools/fuzz/corpus` and is built on by the next; `--keep` puts the smallest set of inputs that
reaches as much into the stored corpus.
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.environments.make import EnvironmentFailed, environment
from tests.fuzz import corpus

ROOT = Path(__file__).parents[2]
WORK = ROOT / ".tools" / "fuzz"
DICTIONARY = Path(__file__).with_name("http1.dict")
# An input that takes longer has met something worse than linear: ordinary ones take a millisecond.
SLOWEST_SECONDS = 10
MEMORY_MIB = 1024
_STATUS = re.compile(r"#(\d+)\s+\S+\s+cov: (\d+) ft: (\d+) corp: (\d+)/(\d+)([KM]?)b")
_RUNS = re.compile(r"stat::number_of_executed_units: (\d+)")
_CRASH = re.compile(r"Test unit written to (\S+)")
_UNITS = {"": 1, "K": 1024, "M": 1024 * 1024}


class Outcome(NamedTuple):
    """What the fuzzer said at last; sizes in bytes. `crash` is the input that broke a law, "" if none did."""

    runs: int
    edges: int
    features: int
    inputs: int
    size: int
    crash: str


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the HTTP/1 followers.")
    parser.add_argument("--seconds", type=int, default=600, help="how long to look (default 600)")
    parser.add_argument("--keep", action="store_true", help="store the smallest corpus that reaches as much")
    asked = parser.parse_args(arguments)
    if asked.seconds < 1:
        parser.error(f"--seconds {asked.seconds}: expected 1 or more")
    try:
        python = environment("fuzz") / "bin" / "python"
    except EnvironmentFailed as error:
        print(f"fuzz: {error}", file=sys.stderr)
        return 2
    status = fuzz(python, asked.seconds)
    return status or (keep(python) if asked.keep else 0)


def fuzz(python: Path, seconds: int) -> int:
    """Look for `seconds`; prints a line about it and returns the exit status."""
    folders = [WORK / "corpus", corpus.STORED, WORK / "seeds"]
    for folder in (folders[0], WORK / "crashes"):
        folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(WORK / "seeds", ignore_errors=True)
    corpus.write(corpus.seeds(), WORK / "seeds")
    print(f"fuzz: looking for {seconds} s", flush=True)
    done = _run(python, [f"-max_total_time={seconds}", "-print_final_stats=1", *map(str, folders)])
    said = outcome(done.stdout)
    if said is None:
        print(f"fuzz: it said nothing; the end of its output:\n{done.stdout[-3000:]}", file=sys.stderr)
        return 2
    print(
        f"fuzz: {said.runs} runs in {seconds} s, {said.edges} edges and {said.features} features seen, "
        f"{said.inputs} inputs of {said.size} bytes"
    )
    if done.returncode:
        raised = done.stdout.find("Uncaught Python exception")
        print(f"fuzz: an input broke a law: {said.crash}\n{done.stdout[raised:][:3000]}", file=sys.stderr)
        return 1
    return 0


def keep(python: Path) -> int:
    """Replace the stored corpus by the smallest set of inputs that reaches as much, if it is within its bound."""
    fresh = WORK / "kept"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    done = _run(python, ["-merge=1", *map(str, (fresh, corpus.STORED, WORK / "seeds", WORK / "corpus"))])
    inputs = [path.read_bytes() for path in sorted(fresh.iterdir())]
    size = sum(map(len, inputs))
    if done.returncode or not inputs or size > corpus.MAX_STORED:
        print(
            f"fuzz: nothing stored: {len(inputs)} inputs of {size} bytes\n{done.stdout[-1500:]}",
            file=sys.stderr,
        )
        return 2
    shutil.rmtree(corpus.STORED)
    corpus.write(iter(inputs), corpus.STORED)
    print(f"fuzz: stored {len(inputs)} inputs of {size} bytes in {corpus.STORED.relative_to(ROOT)}")
    return 0


def outcome(log: str) -> Outcome | None:
    """Read the fuzzer's own log; None if it neither looked nor found anything."""
    lines = _STATUS.findall(log)
    counted = _RUNS.search(log)
    crash = _CRASH.search(log)
    if not lines and crash is None:
        return None
    runs, edges, features, inputs, size, unit = lines[-1] if lines else ("0", "0", "0", "0", "0", "")
    return Outcome(
        int(counted[1] if counted else runs),
        int(edges),
        int(features),
        int(inputs),
        int(size) * _UNITS[unit],
        crash[1] if crash else "",
    )


def _run(python: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    bounds = [
        f"-max_len={corpus.MAX_INPUT}",
        f"-timeout={SLOWEST_SECONDS}",
        f"-rss_limit_mb={MEMORY_MIB}",
        f"-artifact_prefix={WORK / 'crashes'}/",
        f"-dict={DICTIONARY}",
    ]
    command = [str(python), "-m", "tests.fuzz.follower", *bounds, *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
