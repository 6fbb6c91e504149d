"""The dashboard "Overview": all models at one glance, and the way from a bad figure to the model that it is of.

It knows which question each panel answers. Invariant: each figure is that of the model's own dashboard, by model.
"""

from collections.abc import Sequence

from alert_rules.promql import ALERTS, family
from dashboards import traffic as figures
from dashboards.panels import (
    Panel,
    Query,
    coloured,
    empty,
    judged,
    linked,
    sized,
    stacked,
    stat,
    table,
    timeseries,
    tinted,
)
from dashboards.queries import gauge, quantile, total
from dashboards.variables import OBSERVED, SERIES, TARGET, TRAFFIC
from dashboards.yardsticks import CRITICAL, NO_REFERENCE

BY = ("model_name", "model_version")
LEGEND = "{{model_name}} {{model_version}}"
SEVERITIES = {"critical": "red", "warning": "orange", "info": "blue"}
_WINDOW = ', window="$window", statistic="psi"'


def now() -> Sequence[Panel]:
    down = f"count({gauge('model.up', TARGET)} == 0) or 0 * count({gauge('model.up', TARGET)})"
    seen = f"last_over_time({family('modeltap.build')}{{{TARGET}}}[$__range])"
    silent = f"count(up{{{TARGET}}} == 0 and on (job, instance) {seen}) or vector(0)"
    moved = f"{gauge('model.drift.drifted_columns', OBSERVED + _WINDOW)}"
    return (
        judged(
            empty(
                stat("Models down", "Upstreams whose last probe failed.", "short", Query(down)),
                "No probe yet",
            ),
            *(("green", None), ("red", 1)),
        ),
        judged(
            stat(
                "Sidecars silent",
                "Sidecars that were seen in the time range and cannot be scraped now.",
                "short",
                Query(silent),
            ),
            *(("green", None), ("red", 1)),
        ),
        stat(
            "Requests",
            "Requests per second, health and metadata calls left out.",
            "reqps",
            Query(total(figures.REQUESTS)),
        ),
        figures.failing(),
        figures.attained(),
        _queued(),
        judged(
            empty(
                stat(
                    "Drifted columns",
                    "Share of columns above all yardsticks, of the model that moved most.",
                    "percentunit",
                    Query(f"max({moved})"),
                ),
                NO_REFERENCE,
            ),
            *(("green", None), ("orange", 0.1), ("red", 0.5)),
        ),
        figures.firing(),
    )


def _queued() -> Panel:
    text = "Requests that wait for admission or in the servers' own queues."
    return empty(
        stat("Queue", text, "short", Query(total(gauge("model.queue.length", TARGET)))), "No queue told"
    )


def models() -> Sequence[Panel]:
    psi, critical = (_moved(name, *BY) for name in ("model.drift", "model.drift.critical_value"))
    since = f"time() - max by ({', '.join(BY)}) ({gauge('model.version.start_time', SERIES)})"
    columns = {
        "Requests": (total(figures.REQUESTS, *BY), "reqps"),
        "Failed": (figures.failed(*BY), "percentunit"),
        "p50": (quantile(0.5, "model.request.duration", TRAFFIC, *BY), "s"),
        "p99": (quantile(0.99, "model.request.duration", TRAFFIC, *BY), "s"),
        "Within target": (figures.within(*BY), "percentunit"),
        "PSI": (psi, "short"),
        "PSI / critical": (f"{psi} / ({critical} > 0)", "short"),
        "In use for": (since, "s"),
        "Alerts": (_alerted(), "short"),
    }
    text = (
        "Each version that answers: traffic, errors, latency, how far its predictions are from the reference and what "
        "chance alone would do, alerts. A name leads to the model's dashboard, PSI to its drift."
    )
    found = table(
        "Models",
        text,
        BY,
        {word: (Query(expr, shape="table"), unit) for word, (expr, unit) in columns.items()},
    )
    linked(found, "model_name", "Model", "modeltap-model")
    linked(found, "PSI", "Drift", "modeltap-drift")
    tinted(found, "Failed", *figures.FAILED_STEPS)
    tinted(found, "Within target", *figures.WITHIN_STEPS)
    tinted(found, "PSI / critical", ("green", None), ("orange", 1))
    tinted(found, "Alerts", ("green", None), ("orange", 1))
    return (sized(found, 24, 7),)


def _alerted() -> str:
    """Alerts of each version that answers: its own, and those of its model, which name no version."""
    key = ", ".join(BY)
    of_version, of_model = (
        f'{ALERTS}{{{figures.ALERTED}, model_name!="", model_version{equals}""}}' for equals in ("!=", "=")
    )
    own = f"count by ({key}) ({of_version})"
    answers = f"group by ({key}) ({figures.REQUESTS})"
    whole = f"count by (model_name) ({of_model}) * on (model_name) group_right () {answers}"
    return f"({own} + {whole}) or {own} or {whole}"


def alerts() -> Sequence[Panel]:
    by = ("alertname", "severity", "model_name", "model_version", "output", "feature", "instance")
    firing = Query(f"count by ({', '.join(by)}) ({figures.FIRING})", shape="table")
    history = Query(f"count by (severity) ({figures.FIRING})", "{{severity}}")
    found = (
        sized(
            table(
                "Firing", "Alerts that fire at the end of the time range.", by, {"Series": (firing, "short")}
            ),
            16,
            8,
        ),
        coloured(
            stacked(timeseries("Alerts by severity", "Alerts that fired.", "short", history)),
            SEVERITIES,
        ),
    )
    return tuple(empty(panel, "No alert fires") for panel in found)


def traffic() -> Sequence[Panel]:
    by, legend = ("model_name",), "{{model_name}}"
    queued = Query(
        total(gauge("model.queue.length", TARGET), "instance", "source"), "{{instance}} {{source}}"
    )
    availability = Query(f"min by (instance) ({gauge('model.up', TARGET)})", "{{instance}}")
    return (
        stacked(
            timeseries(
                "Requests by model",
                "Requests per second.",
                "reqps",
                Query(total(figures.REQUESTS, *by), legend),
            )
        ),
        timeseries(
            "Failed by model",
            "Share of requests that the server or the sidecar failed.",
            "percentunit",
            Query(figures.failed(*by), legend),
        ),
        timeseries(
            "p99 by model",
            "99 % of requests took no longer.",
            "s",
            Query(quantile(0.99, "model.request.duration", TRAFFIC, *by), legend),
        ),
        timeseries(
            "In flight by model",
            "Requests whose exchange is not finished.",
            "short",
            Query(total(figures.IN_FLIGHT, *by), legend),
        ),
        empty(
            timeseries(
                "Queue by replica",
                "Requests that wait for admission or in the server's own queue.",
                "short",
                queued,
            ),
            "No queue told",
        ),
        empty(
            timeseries("Up by replica", "1 while the upstream answers probes.", "short", availability),
            "No probe yet",
        ),
    )


def drift() -> Sequence[Panel]:
    lines = [
        Query(_moved(name, *BY), f"{word} {LEGEND}")
        for word, name in (("PSI", "model.drift"), (CRITICAL, "model.drift.critical_value"))
    ]
    share = gauge("model.drift.drifted_columns", OBSERVED + _WINDOW)
    columns = Query(f"max by ({', '.join(BY)}, source) ({share})", f"{LEGEND} {{{{source}}}}")
    text = "PSI of the predictions in the rolling window, largest over outputs and replicas, with its critical value."
    return (
        empty(
            sized(
                coloured(
                    timeseries("Prediction drift by model", text, "short", *lines),
                    {CRITICAL: "red"},
                    (CRITICAL,),
                ),
                12,
                8,
            ),
            NO_REFERENCE,
        ),
        empty(
            sized(
                timeseries(
                    "Drifted columns by model",
                    "Share of columns above all yardsticks, of those with rows enough.",
                    "percentunit",
                    columns,
                ),
                12,
                8,
            ),
            NO_REFERENCE,
        ),
    )


def _moved(name: str, *labels: str) -> str:
    return f'max by ({", ".join(labels)}) ({family(name)}{{{OBSERVED}{_WINDOW}, output!=""}})'
