"""The catalogue's rows of the model's life: probes, availability, starts, loads, versions, deployments."""

from exporter.records.metric import Metric

_MODEL = ("model_name", "model_version")
# From a small model in a process to weights of a terabyte.
START_BUCKETS = (0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0)
# From the same host to another continent.
CONNECT_BUCKETS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)

LIFE: tuple[Metric, ...] = (
    Metric("model.up", "gauge", "1", (), "1 if the upstream answered the last probe, else 0.", "stable"),
    Metric(
        "model.probe.duration",
        "gauge",
        "s",
        (),
        "How long the last probe of the upstream took, failed or not.",
    ),
    Metric(
        "model.probe",
        "info",
        "1",
        ("path", "source"),
        "1 for what is probed: a path, or none where connecting is all; source is who chose it: configured, dialect, "
        "connect.",
    ),
    Metric(
        "model.probe.failures",
        "counter",
        "{probe}",
        ("reason",),
        "Probes that failed, by reason: dns, refused, unreachable, timeout, reset, tls, closed, redirect, status, "
        "malformed.",
    ),
    Metric(
        "model.probe.connect.duration",
        "histogram",
        "s",
        (),
        "Time in which probes were connected to the upstream, TLS left out.",
        buckets=CONNECT_BUCKETS,
    ),
    Metric(
        "model.probe.round_trip",
        "gauge",
        "s",
        (),
        "Round trip to the upstream as the kernel estimated it on the last probe's connection (TCP_INFO).",
    ),
    Metric(
        "model.health.time",
        "counter",
        "s",
        ("state",),
        "Time in which probes found the upstream up or down (up, down); both together are what was observed.",
        "stable",
    ),
    Metric(
        "model.availability",
        "gauge",
        "1",
        ("window",),
        "Share of the observed time in a rolling window of this sidecar in which the upstream was up.",
    ),
    Metric(
        "model.uptime",
        "gauge",
        "s",
        (),
        "Time since probes found the upstream down or not at all; absent while it is down.",
    ),
    Metric(
        "model.cold_start.duration",
        "histogram",
        "s",
        ("source",),
        "Time from a start of the model server to its first successful probe; source tells who knew of the start: "
        "process, metrics (the server's own), sidecar (its own start).",
        buckets=START_BUCKETS,
    ),
    Metric(
        "model.restarts",
        "counter",
        "{restart}",
        ("source",),
        "Times that the model server was started again; source tells who knew: process, metrics.",
        "stable",
    ),
    Metric(
        "model.load.duration",
        "histogram",
        "s",
        (*_MODEL, "source"),
        "Time that loads of a model version took: source is repository (a load request that passed through) or "
        "readiness (from the first probe that was told not to be ready).",
        buckets=START_BUCKETS,
    ),
    Metric(
        "model.repository.requests",
        "counter",
        "{request}",
        ("model_name", "kind", "outcome"),
        "Load and unload requests of the V2 repository that passed through, by kind (load, unload) and outcome "
        "(success, failure).",
    ),
    Metric(
        "model.version.start_time",
        "gauge",
        "s",
        _MODEL,
        "Unix time since when answers tell this version of a model; exists for the version in use.",
    ),
    Metric(
        "model.version.changes",
        "counter",
        "{change}",
        ("model_name", "kind"),
        "Times that answers told another version of a model: new, or rollback to one seen before.",
        "stable",
    ),
    Metric(
        "model.version.transitions",
        "counter",
        "{change}",
        ("model_name", "previous_version", "model_version"),
        "The same from which version to which.",
    ),
    Metric(
        "model.deployments",
        "counter",
        "{deployment}",
        (*_MODEL, "outcome"),
        "Versions that came into use, by what became of them: stable (in use and up for long enough), rolled_back, "
        "superseded (by a new one before it was stable), never_ready (a start that was never ready).",
    ),
    Metric(
        "modeltap.history.files",
        "counter",
        "{file}",
        ("outcome",),
        "Files of what is known of a model's past, over a restart: saved, restored, corrupt or foreign (set aside), "
        "failed (to be read or written).",
    ),
)
