"""What an owner tunes: thresholds, windows and scope of the rules, with the reason of each default.

It knows no PromQL beyond label names and durations. Invariant: `problems` is empty, or nothing is
generated.
"""

from exporter.records.catalogue import LATENCY_BUCKETS

# What keeps two models of one name apart, beside their own labels; an absent label is no harm.
SCOPE = ("namespace", "job")
# Scrape targets that are sidecars even if they never answered; those that did answer are known without it.
TARGETS = 'job=~".*modeltap.*"'
# Where the runbook can be read; put the address of your copy here.
RUNBOOK = "alert_rules/RUNBOOK.md"

# Below this many requests in five minutes a ratio or a quantile says little: 1 failure of 10 is no 10 %.
MIN_REQUESTS = 20
ERROR_RATIO = 0.05
# Seconds; must be a bound of the latency histogram, or p99 would be interpolated across the target.
LATENCY_P99 = 1.0
# Requests per second an hour ago that make silence now worth a look.
EXPECTED_RATE = 0.02

# Of faults that need no comparison, and as long as a pane of the longer ones.
DRIFT_WINDOW = "1h"
# PSI of 0.1 is the field's "moderate"; the critical value for the number of rows must be passed as well.
DRIFT_EFFECT = 0.1
# The field's "major": no second window is waited for.
DRIFT_LARGE = 0.25
# Within an hour: two histograms that share little.
DRIFT_BROKEN = 1.0
DRIFT_FOR = "30m"
# The closed form of the critical value holds from about this many rows.
MIN_ROWS = 100

# Share of rows without a value beyond the reference's own share: the 5 % that others allow in all.
MISSING_EXCESS = 0.05
# Share of rows that cannot be right; also what outliers may exceed their multiple by.
INVALID_RATIO = 0.01
# Times the reference's own share of outliers.
OUTLIER_FACTOR = 3
DUPLICATE_EXCESS = 0.2
# Median age of rows in seconds; a day suits a nightly batch, a stream wants minutes.
STALE_SECONDS = 86400
# Against the same hour a week ago.
VOLUME_LOW = 0.5
VOLUME_HIGH = 3.0

# Long enough for rows with labels, short enough to see a fall.
PERFORMANCE_WINDOW = "7d"
# SageMaker gives no deviation of a figure below so many rows.
MIN_LABELLED = 200
# Of either class, below which an area under the ROC curve is judged by nobody.
MIN_POSITIVES = 20
# Share of truths that a predicted interval has to hold: what is called 90 %, and holds less than this, is not that.
INTERVAL_COVERAGE = 0.8
# The four-fifths rule (29 CFR 1607.4 D): the rate of the least chosen group over that of the most chosen one.
PARITY_RATIO = 0.8
# Mean distance between scores and the share of positives.
ECE = 0.1
# Between two deliveries of labels; a weekly file wants more than 7d.
LABELS_SILENT = "2d"
UNMATCHED_RATIO = 0.5
LABEL_COVERAGE = 0.05
# Median lag in seconds: two weeks.
LABEL_LAG_SECONDS = 1_209_600
STORE_USED = 0.9

# A week: what renews by itself has done so long before.
CERTIFICATE_SECONDS = 604_800

# Degrees below the point where the GPU itself slows down, and what is hot for one that does not tell that point.
GPU_HOT_MARGIN = 3
GPU_HOT = 90
# Servers of language models take 90 % at their start, and mean to.
GPU_MEMORY_FULL = 0.98
# Share of the observed time of an hour in which the model was up: 36 seconds of outage.
AVAILABILITY = 0.99
# Seconds that have to be observed before a share says anything.
OBSERVED_SECONDS = 600
# Mean seconds from a start to ready; five minutes suit a model of some gigabytes, large weights want more.
COLD_START_SECONDS = 300
# Restarts of one model server, and changes of one model's version, within an hour.
MODEL_RESTARTS = 3
VERSION_CHANGES = 4

# Within 15 minutes, of a wrapped model.
MODEL_RESTARTS = 3
# Times the period after which a job should have succeeded again: a run may take a while, and start late.
JOB_LATE = 1.25

DROPPED_RATIO = 0.05
RESTARTS = 3
DESYNC_RATIO = 0.01
MIN_DESYNCS = 5

# Of the limit, by the working set: what is left serves one more large batch.
MEMORY_RATIO = 0.9
# Of the quota's periods; the kubernetes mixin says the same.
THROTTLED_RATIO = 0.25
# Of the limit, by the process nearest to it, and by the tasks of a container.
DESCRIPTOR_RATIO = 0.8
TASK_RATIO = 0.9


def problems() -> list[str]:
    """Every value that makes no sensible rule, with what was expected."""
    found = []
    if LATENCY_P99 not in LATENCY_BUCKETS:
        bounds = ", ".join(f"{bound:g}" for bound in LATENCY_BUCKETS)
        found.append(
            f"LATENCY_P99 = {LATENCY_P99:g} is no bound of the latency histogram; expected one of {bounds}"
        )
    for name, value in (
        ("ERROR_RATIO", ERROR_RATIO),
        ("AVAILABILITY", AVAILABILITY),
        ("DROPPED_RATIO", DROPPED_RATIO),
        ("DESYNC_RATIO", DESYNC_RATIO),
        ("GPU_MEMORY_FULL", GPU_MEMORY_FULL),
        ("MEMORY_RATIO", MEMORY_RATIO),
        ("THROTTLED_RATIO", THROTTLED_RATIO),
        ("DESCRIPTOR_RATIO", DESCRIPTOR_RATIO),
        ("TASK_RATIO", TASK_RATIO),
    ):
        if not 0 < value < 1:
            found.append(f"{name} = {value:g} is no ratio; expected a number between 0 and 1")
    for name, value in (
        ("MIN_REQUESTS", MIN_REQUESTS),
        ("MIN_ROWS", MIN_ROWS),
        ("OBSERVED_SECONDS", OBSERVED_SECONDS),
        ("COLD_START_SECONDS", COLD_START_SECONDS),
        ("MODEL_RESTARTS", MODEL_RESTARTS),
        ("VERSION_CHANGES", VERSION_CHANGES),
        ("DRIFT_EFFECT", DRIFT_EFFECT),
        ("DRIFT_LARGE", DRIFT_LARGE),
        ("DRIFT_BROKEN", DRIFT_BROKEN),
    ):
        if value <= 0:
            found.append(f"{name} = {value:g} lets every quiet endpoint alert; expected a number above 0")
    return found
