"""The row "Life": is the model ready, since when, why not; starts, loads, versions and what became of them.

It knows the probes and what exchanges tell of versions. Invariant: availability is summed over replicas before it is
divided, by what was observed.
"""

from collections.abc import Sequence

from dashboards.panels import Panel, Query, coloured, empty, judged, plain, stat, table, timeseries
from dashboards.queries import gauge, increase, quantile, total
from dashboards.variables import MODEL, SERIES, TARGET

NO_PROBE = "No probe yet"
NONE = "None"


def panels() -> Sequence[Panel]:
    """All of them."""
    return (*_health(), *_network(), *_starts(), *_versions())


def _health() -> Sequence[Panel]:
    up = total(increase("model.health.time", f'{TARGET}, state="up"'))
    observed = f"({total(increase('model.health.time', TARGET))} > 0)"
    failures = total(increase("model.probe.failures", TARGET), "reason")
    return (
        plain(
            judged(
                empty(
                    stat(
                        "Availability",
                        "Share of the time in which probes found the models up, all replicas together.",
                        "percentunit",
                        Query(f"{up} / {observed}"),
                    ),
                    NO_PROBE,
                ),
                *(("red", None), ("orange", 0.99), ("green", 0.999)),
            )
        ),
        empty(
            timeseries(
                "Availability of the worst replica",
                "Share of the observed time in which the model was up, by rolling window.",
                "percentunit",
                Query(f"min by (window) ({gauge('model.availability', TARGET)})", "{{window}}"),
            ),
            NO_PROBE,
        ),
        empty(
            timeseries(
                "Uptime",
                "Time since probes found the model down; the shortest of all replicas.",
                "s",
                Query(f"min({gauge('model.uptime', TARGET)})", "shortest"),
            ),
            "None is up",
        ),
        _count("Probe failures", "Probes that failed, by reason.", NO_PROBE, Query(failures, "{{reason}}")),
        empty(
            table(
                "What is probed",
                "The path that is asked, and who chose it; none where connecting is all.",
                ("path", "source"),
                {
                    "Replicas": (
                        Query(f"count by (path, source) ({gauge('model.probe', TARGET)})", shape="table"),
                        "short",
                    )
                },
            ),
            NO_PROBE,
        ),
    )


def _network() -> Sequence[Panel]:
    connect = [
        Query(quantile(share, "model.probe.connect.duration", TARGET), f"connect p{share:.0%}"[:-1])
        for share in (0.5, 0.99)
    ]
    trip = Query(f"max({gauge('model.probe.round_trip', TARGET)})", "round trip, longest")
    return (
        empty(
            timeseries(
                "Network to the model",
                "Time to connect, and the kernel's estimate of the round trip, on the probes' connections.",
                "s",
                *connect,
                trip,
            ),
            NO_PROBE,
        ),
    )


def _starts() -> Sequence[Panel]:
    started = total(increase("model.cold_start.duration", TARGET, "_count"), "source")
    spent = total(increase("model.cold_start.duration", TARGET, "_sum"), "source")
    by = ("model_name", "model_version", "source")
    loaded = total(increase("model.load.duration", SERIES, "_count"), *by)
    loading = total(increase("model.load.duration", SERIES, "_sum"), *by)
    asked = total(increase("model.repository.requests", MODEL), "model_name", "kind", "outcome")
    return (
        _count(
            "Restarts of the model",
            "Times that the model server was started again, by who told it.",
            NONE,
            Query(total(increase("model.restarts", TARGET), "source"), "{{source}}"),
        ),
        empty(
            timeseries(
                "Cold start",
                "Mean time from a start of the model server to its first successful probe.",
                "s",
                Query(f"{spent} / ({started} > 0)", "{{source}}"),
            ),
            "No start was seen",
        ),
        empty(
            timeseries(
                "Load time",
                "Mean time that loads of a model version took.",
                "s",
                Query(f"{loading} / ({loaded} > 0)", "{{model_name}} {{model_version}} {{source}}"),
            ),
            "No load was seen",
        ),
        _count(
            "Repository requests",
            "Load and unload requests that passed through.",
            "No load was seen",
            Query(asked, "{{model_name}} {{kind}} {{outcome}}"),
        ),
    )


def _versions() -> Sequence[Panel]:
    since = f"time() - max by (model_name, model_version) ({gauge('model.version.start_time', SERIES)})"
    pairs = ("model_name", "previous_version", "model_version")
    ended = total(increase("model.deployments", SERIES), "model_name", "model_version", "outcome")
    return (
        table(
            "Versions in use",
            "For how long answers have been telling this version.",
            ("model_name", "model_version"),
            {"In use for": (Query(since, shape="table"), "s")},
        ),
        _count(
            "Version changes",
            "New versions, and rollbacks to one that was seen before.",
            "No version yet",
            Query(
                total(increase("model.version.changes", MODEL), "model_name", "kind"),
                "{{model_name}} {{kind}}",
            ),
        ),
        empty(
            table(
                "Changes from which to which",
                "How often one version took the place of another.",
                pairs,
                {
                    "Times": (
                        Query(total(increase("model.version.transitions", SERIES), *pairs), shape="table"),
                        "short",
                    )
                },
            ),
            NONE,
        ),
        _count(
            "Deployments",
            "What became of versions that came into use.",
            "No version yet",
            Query(ended, "{{model_name}} {{model_version}} {{outcome}}"),
        ),
        coloured(
            _count(
                "History over restarts",
                "Files of versions, descriptions and digests that were known; corrupt and foreign ones were set aside.",
                "No --state-dir",
                Query(total(increase("modeltap.history.files", TARGET), "outcome"), "{{outcome}}"),
            ),
            {
                "saved": "green",
                "restored": "blue",
                "foreign": "orange",
                "corrupt": "red",
                "failed": "dark-red",
            },
        ),
    )


def _count(title: str, text: str, none: str, *queries: Query) -> Panel:
    return empty(timeseries(title, text, "short", *queries), none)
