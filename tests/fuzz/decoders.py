"""`python -m tests.fuzz.decoders`: make the decoders' fuzzer its environment, run it on all dialects, say what it did.

Exit status: 0 if no input broke a law, 1 if one did (it lies beside the message), 2 if the fuzzer could not run. What
a run finds stays in `.tools/fuzz/decoders` and is built on by the next; an input that broke a law belongs into
`tests/vectors/fuzz_decode`, where the tests run it for good.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.environments.make import EnvironmentFailed, environment
from tests.fuzz import corpus, decoding
from tests.fuzz.__main__ import MEMORY_MIB, ROOT, SLOWEST_SECONDS, outcome

WORK = ROOT / ".tools" / "fuzz" / "decoders"
STORED = decoding.VECTORS / "fuzz_decode"


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.decoders", description="Fuzz the decoders.")
    parser.add_argument("--seconds", type=int, default=600, help="how long to look (default 600)")
    asked = parser.parse_args(arguments)
    if asked.seconds < 1:
        parser.error(f"--seconds {asked.seconds}: expected 1 or more")
    try:
        python = environment("fuzz_decode") / "bin" / "python"
    except EnvironmentFailed as error:
        print(f"fuzz: {error}", file=sys.stderr)
        return 2
    return fuzz(python, asked.seconds)


def fuzz(python: Path, seconds: int) -> int:
    """Look for `seconds`; prints a line about it and returns the exit status."""
    folders = [WORK / "corpus", STORED, WORK / "seeds"]
    for folder in (*folders, WORK / "crashes"):
        folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(WORK / "seeds")
    corpus.write((seed for seed in decoding.seeds() if len(seed) <= decoding.MAX_INPUT), WORK / "seeds")
    print(f"fuzz: looking for {seconds} s in {len(decoding.READERS)} readers", flush=True)
    command = [
        *(str(python), "-m", "tests.fuzz.decoder"),
        *(f"-max_len={decoding.MAX_INPUT}", f"-timeout={SLOWEST_SECONDS}", f"-rss_limit_mb={MEMORY_MIB}"),
        *(f"-max_total_time={seconds}", "-print_final_stats=1", f"-artifact_prefix={WORK / 'crashes'}/"),
        *map(str, folders),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    log = done.stdout + done.stderr
    said = outcome(log)
    if said is None:
        print(f"fuzz: it said nothing; the end of its output:\n{log[-3000:]}", file=sys.stderr)
        return 2
    print(
        f"fuzz: {said.runs} runs in {seconds} s, {said.edges} edges and {said.features} features seen, "
        f"{said.inputs} inputs of {said.size} bytes"
    )
    if done.returncode:
        raised = log.find("Uncaught Python exception")
        print(f"fuzz: an input broke a law: {said.crash}\n{log[raised:][:3000]}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
