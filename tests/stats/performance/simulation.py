"""How often intervals of performance hold, and how often contests are decided wrongly: seeded draws, as tables.

`python -m tests.stats.performance.simulation` prints the tables of docs/performance.md (some minutes).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from exporter.stats.performance.class_figures import class_figures, each_class
from exporter.stats.performance.classes import Table
from exporter.stats.performance.contest import Paired, PairedLayout, boundary, together
from exporter.stats.performance.errors import ErrorLayout, Measured, error_figures
from exporter.stats.performance.figures import Z_95, Figure
from exporter.stats.performance.score_figures import score_figures
from exporter.stats.performance.scores import Scored, ScoreLayout
from exporter.stats.performance.split import SPLIT, TUNED_PAIRS, advantage, compared
from exporter.stats.profiles.performance import SCORE_EDGES

Key = tuple[str, str]
Draw = Callable[[np.random.Generator, int], list[Figure]]
ROWS = (200, 500, 2000)
TWO = np.array([[0.86, 0.04], [0.03, 0.07]])  # one in ten is positive
THREE = np.array([[0.4, 0.05, 0.02], [0.06, 0.25, 0.03], [0.04, 0.05, 0.1]])
LAYOUT = ScoreLayout(SCORE_EDGES[:-1])
# What is the same figure, or has no limits of its own, is left out.
CLASSES_SHOWN = (
    *(
        ("accuracy", ""),
        ("balanced_accuracy", ""),
        ("precision_macro", ""),
        ("f1_macro", ""),
        ("f1_weighted", ""),
    ),
    *(
        ("precision_weighted", ""),
        ("kappa", ""),
        ("matthews", ""),
        ("precision", "1"),
        ("recall", "1"),
        ("f1", "1"),
    ),
    *(("false_positive_rate", "1"),),
)
SCORES_SHOWN = tuple((name, "") for name in ("auc_roc", "auc_pr", "brier", "log_loss", "ece", "mce"))
ERRORS_SHOWN = tuple((name, "") for name in ("bias", "mse", "rmse", "mae", "mape", "error_variance", "r2"))


def _planes(cells: np.ndarray, weights: np.ndarray, width: int) -> Table:
    parts = [np.bincount(cells, weights**power, width * width) for power in range(3)]
    return Table(tuple(map(str, range(width))), np.stack(parts).reshape(3, width, width), np.zeros(3))


def _of_table(table: Table) -> list[Figure]:
    return [*class_figures(table), *each_class(table)]


def classes(shares: np.ndarray, weighted: bool = False) -> tuple[Draw, dict[Key, float]]:
    """Draws of confusion cells with these shares, and the true figures."""
    width = len(shares)

    def draw(rng: np.random.Generator, rows: int) -> list[Figure]:
        cells = rng.choice(width * width, rows, p=shares.ravel())
        weights = rng.choice([1.0, 4.0], rows) if weighted else np.ones(rows)
        return _of_table(_planes(cells, weights, width))

    truth = _planes(np.arange(width * width), 1e6 * shares.ravel(), width)
    return draw, _values(_of_table(truth))


def scores(sharpness: float, bend: float = 1.0) -> tuple[Draw, dict[Key, float]]:
    """Draws of scores, and the true figures in the same bins; calibrated if `bend` is 1."""

    def chance(score: np.ndarray) -> np.ndarray:
        return np.asarray(score**bend)

    def draw(rng: np.random.Generator, rows: int) -> list[Figure]:
        score = rng.beta(sharpness, 3.0 * sharpness, rows)
        truth = (rng.random(rows) < chance(score)).astype(float)
        return score_figures(LAYOUT.read(LAYOUT.sums(Scored(truth, score))))

    many = np.random.default_rng(99).beta(sharpness, 3.0 * sharpness, 2_000_000)
    sums = LAYOUT.sums(Scored(np.ones_like(many), many, chance(many)))
    sums = sums + LAYOUT.sums(Scored(np.zeros_like(many), many, 1.0 - chance(many)))
    return draw, _values(score_figures(LAYOUT.read(sums)))


def errors(heavy: bool) -> tuple[Draw, dict[Key, float]]:
    """Draws of errors, normal or with heavy tails (Student's t, 5 degrees), and the true figures."""
    layout = ErrorLayout(centre=10.0)

    def sums(rng: np.random.Generator, rows: int) -> np.ndarray:
        truth = rng.normal(10.0, 2.0, rows)
        noise = rng.standard_t(5, rows) if heavy else rng.normal(size=rows)
        return layout.sums(Measured(truth, truth + 0.3 + noise))

    def draw(rng: np.random.Generator, rows: int) -> list[Figure]:
        return error_figures(layout, sums(rng, rows))

    return draw, _values(error_figures(layout, sums(np.random.default_rng(98), 4_000_000)))


def _values(figures: list[Figure]) -> dict[Key, float]:
    return {(figure.name, figure.of): figure.value for figure in figures}


def coverage(
    draw: Draw, truth: Mapping[Key, float], rows: int, draws: int, seed: int = 1
) -> dict[Key, float]:
    """Share of draws in which the interval of each figure holds the truth, of those in which it is `ready`."""
    rng = np.random.default_rng(seed)
    held: dict[Key, list[bool]] = {}
    for _ in range(draws):
        for figure in draw(rng, rows):
            key = (figure.name, figure.of)
            if figure.state == "ready" and key in truth:
                held.setdefault(key, []).append(figure.low <= truth[key] <= figure.high)
    return {key: float(np.mean(own)) for key, own in held.items() if len(own) > draws / 10}


SETTINGS: tuple[tuple[str, tuple[Key, ...], Callable[[], tuple[Draw, dict[Key, float]]]], ...] = (
    ("two classes, one in ten positive", CLASSES_SHOWN, lambda: classes(TWO)),
    ("three classes", CLASSES_SHOWN, lambda: classes(THREE)),
    ("three classes, weights 1 and 4", CLASSES_SHOWN, lambda: classes(THREE, True)),
    ("scores, calibrated", SCORES_SHOWN, lambda: scores(1.0)),
    ("scores, overconfident", SCORES_SHOWN, lambda: scores(1.0, 2.0)),
    ("errors, normal", ERRORS_SHOWN, lambda: errors(False)),
    ("errors, heavy tails", ERRORS_SHOWN, lambda: errors(True)),
)


def looks(rows: int, every: int, first: int = 200) -> Iterator[int]:
    """Rows at which somebody looks."""
    return iter(range(first, rows + 1, every))


def peeked_pairs(streams: int, rows: int, every: int, gain: float = 0.0, seed: int = 2) -> dict[str, float]:
    """Shadow against champion, both right in 80 % (the shadow in `gain` more), looked at again and again.

    Shares of streams that were ever decided for and against the challenger; `single`: that an interval for one look
    would have been off 0 at any of them. `first`: median rows at the decision.
    """
    rng = np.random.default_rng(seed)
    layout = PairedLayout()
    ended: dict[str, int] = {"better": 0, "worse": 0, "single": 0}
    when = []
    for _ in range(streams):
        both = rng.random((2, rows)) < [[0.8], [0.8 + gain]]
        difference = both[1].astype(float) - both[0]
        sums, at, single, verdict = np.zeros(layout.size), 0, False, "undecided"
        for look in looks(rows, every):
            sums = sums + layout.sums(Paired(difference[at:look]))
            at = look
            found = together(sums, lower_is_better=False)
            assert found is not None
            error = math.sqrt(max(sums[5] / look - found.difference**2, 0.0) / look)
            single = single or abs(found.difference) > Z_95 * error
            if verdict == "undecided" and found.verdict != "undecided":
                verdict = found.verdict
                when.append(look)
        ended["single"] += single
        if verdict in ended:
            ended[verdict] += 1
    return {key: times / streams for key, times in ended.items()} | {
        "first": float(np.median(when or [np.inf]))
    }


@dataclass(frozen=True, slots=True)
class Canary:
    """Traffic that is split: by hour, rows, the challenger's share of them, and how often both are wrong."""

    name: str
    rows: float
    share: Callable[[int], float]
    wrong: Callable[[int], float]
    outcome: bool = True  # else a loss of that mean, exponential as squared errors are


def _night(hour: int) -> bool:
    return hour % 24 < 8


CANARIES = (
    Canary("a tenth of 20 rows an hour", 20, lambda hour: 0.1, lambda hour: 0.2),
    Canary(
        "from 2 % to half, most at night, when rows are harder",
        40,
        lambda hour: min(0.5, 0.02 + hour / 1400) * (1.5 if _night(hour) else 0.6),
        lambda hour: 0.35 if _night(hour) else 0.1,
    ),
    Canary("a twentieth of 60 rows, wrong in 2 %", 60, lambda hour: 0.05, lambda hour: 0.02),
    Canary("a fifth of 20 rows, a loss with a long tail", 20, lambda hour: 0.2, lambda hour: 1.0, False),
)


def _arm(rng: np.random.Generator, one: Canary, rows: int, wrong: float) -> np.ndarray:
    if one.outcome:
        hits = float(rng.binomial(rows, wrong))
        return np.array([rows, rows, rows, hits, hits, hits], float)
    loss = rng.exponential(wrong, rows)
    return np.array([rows, rows, rows, loss.sum(), loss @ loss, 0.0])


def peeked_split(one: Canary, streams: int, hours: int, gain: float = 0.0, seed: int = 3) -> dict[str, float]:
    """A canary whose losses are less by `gain` of the champion's, looked at every hour.

    Shares of streams that were ever decided for and against it; `single`: that an interval for one look would have been
    off 0 at any of them; `plain`: that one which does not tell hours apart would have. `first`: median hours.
    """
    rng = np.random.default_rng(seed)
    ended: dict[str, int] = {"better": 0, "worse": 0, "single": 0, "plain": 0}
    when = []
    for _ in range(streams):
        seen: dict[str, int] = {}
        sums, plain = np.zeros(len(SPLIT)), np.zeros((2, 6))
        for hour in range(hours):
            rows = rng.poisson(one.rows)
            canary = rng.binomial(rows, one.share(hour))
            wrong = one.wrong(hour)
            arms = [_arm(rng, one, rows - canary, wrong), _arm(rng, one, canary, wrong * (1.0 - gain))]
            plain += arms
            stratum = compared(*arms)
            sums += 0.0 if stratum is None else stratum
            found = advantage(sums, one.outcome)
            if found is None or found.verdict == "insufficient":
                continue
            if found.verdict != "undecided" and not seen.keys() & {"better", "worse"}:
                seen[found.verdict] = hour
                when.append(hour)
            if abs(found.difference) > Z_95 * math.sqrt(sums[4]) / sums[1]:
                seen.setdefault("single", hour)
            if _plain(plain):
                seen.setdefault("plain", hour)
        for name in seen:
            ended[name] += 1
    return {key: times / streams for key, times in ended.items()} | {
        "first": float(np.median(when or [np.inf]))
    }


def _plain(arms: np.ndarray) -> bool:
    """Whether all rows of one against all of the other decide, by the same boundary."""
    rows, total, squares = arms[:, 0], arms[:, 3], arms[:, 4]
    means = total / rows
    error = math.sqrt(((squares / rows - means**2) / rows).sum())
    pairs = rows.prod() / rows.sum()
    return bool(abs(means[0] - means[1]) > error * math.sqrt(pairs) * boundary(pairs, TUNED_PAIRS))


def coverage_table(draws: int) -> Iterator[str]:
    """One row per setting and figure, percent of draws."""
    yield "| of | figure | " + " | ".join(f"{rows:,} rows" for rows in ROWS) + " |"
    yield "|---" * (2 + len(ROWS)) + "|"
    for name, shown, make in SETTINGS:
        draw, truth = make()
        found = [coverage(draw, truth, rows, draws) for rows in ROWS]
        for key in shown:
            if any(key in own for own in found):
                cells = (f"{100 * own[key]:.1f}" if key in own else "" for own in found)
                label = f"`{key[0]}`" + (f" of {key[1]}" if key[1] else "")
                yield f"| {name} | {label} | " + " | ".join(cells) + " |"


def contest_table(streams: int) -> Iterator[str]:
    """Shares of streams decided, percent."""
    yield "| contest | truly better by | decided better | decided worse | median rows | by single looks |"
    yield "|---|---|---|---|---|---|"
    for gain in (0.0, 0.02, 0.05):
        found = peeked_pairs(streams, 20_000, 100, gain)
        first = f"{found['first']:,.0f}" if gain else ""
        cells = (f"{100 * found[key]:.1f} %" for key in ("better", "worse"))
        yield (
            f"| on the same rows | {gain:g} | "
            + " | ".join(cells)
            + f" | {first} | {100 * found['single']:.1f} % |"
        )


def split_table(streams: int) -> Iterator[str]:
    """Shares of streams decided, percent."""
    yield "| canary | losses less by | decided better | decided worse | median hours | single looks | hours as one |"
    yield "|---|---|---|---|---|---|---|"
    for one in CANARIES:
        for gain in (0.0, 0.1, 0.25):
            found = peeked_split(one, streams, 720, gain)
            first = f"{found['first']:,.0f}" if gain else ""
            cells = [f"{100 * found[key]:.1f} %" for key in ("better", "worse")]
            cells += [first, *(f"{100 * found[key]:.1f} %" for key in ("single", "plain"))]
            yield f"| {one.name} | {100 * gain:g} % | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    for line in coverage_table(4000):
        print(line, flush=True)
    print()
    for line in (*contest_table(1000), "", *split_table(1000)):
        print(line, flush=True)
