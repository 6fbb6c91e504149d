"""How much of the matrix is run: the one place that reads FAULTS_SCALE.

1 is the short form of every test run. A larger number repeats what is counted in rounds and stretches what lasts: 10
gives SIGSTOP for 30 s and a thousand timed races.
"""

import os

SCALE = max(1.0, float(os.environ.get("FAULTS_SCALE") or 1))


def times(count: int) -> int:
    """So many rounds in the short form."""
    return round(count * SCALE)


def seconds(short: float, longest: float) -> float:
    """So long in the short form, and never longer than `longest`."""
    return min(short * SCALE, longest)
