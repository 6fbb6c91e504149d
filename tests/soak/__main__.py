"""`python -m tests.soak [--minutes 10] [--seed N]`: a line every ten seconds, then what broke.

Exit status: 0 if nothing did, 1 if anything did.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from tests.soak.soak import Plan, soak


def main() -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default 10)")
    parser.add_argument("--seed", type=int, help="of everything random (default: any, and told)")
    options = parser.parse_args()
    if not 0 < options.minutes <= 7 * 24 * 60:
        parser.error(f"--minutes {options.minutes:g}: expected above 0, at most a week")
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    folder = Path(tempfile.mkdtemp(prefix="modeltap-soak-"))
    print(f"seed {seed}, logs in {folder}", flush=True)
    broken = asyncio.run(soak(Plan(options.minutes * 60, seed), folder, lambda line: print(line, flush=True)))
    for line in broken:
        print(f"broken: {line}", flush=True)
    print("failed" if broken else "passed", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
