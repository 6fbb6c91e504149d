"""The rows "Resources" and "Sidecar": what the model's process, the machine and the sidecar use and lose.

It knows no model names, since no resource has one. Invariant: every loss that the sidecar counts has a panel.
"""

from collections.abc import Sequence

from dashboards import gpu
from dashboards.panels import Panel, Query, empty, table, timeseries
from dashboards.queries import gauge, increase, latency, quantiles, rate, total
from dashboards.variables import MODEL, TARGET


def resources() -> Sequence[Panel]:
    cpu = total(rate("process.cpu.time", TARGET), "component")
    disk = total(rate("process.disk.io", TARGET), "component", "disk_io_direction")
    network = total(rate("system.network.io", TARGET), "network_io_direction")
    youngest = f"min by (component) ({gauge('process.uptime', TARGET)})"
    return (
        timeseries("CPU", "Cores in use by component.", "short", Query(cpu, "{{component}}")),
        timeseries(
            "Memory",
            "Resident and virtual memory by component.",
            "bytes",
            Query(total(gauge("process.memory.usage", TARGET), "component"), "{{component}}"),
            Query(total(gauge("process.memory.virtual", TARGET), "component"), "{{component}} virtual"),
        ),
        timeseries(
            "Processes and threads",
            "Threads and processes by component.",
            "short",
            Query(total(gauge("process.thread.count", TARGET), "component"), "{{component}} threads"),
            Query(total(gauge("process.instances", TARGET), "component"), "{{component}} processes"),
        ),
        timeseries(
            "File descriptors",
            "Open file descriptors by component.",
            "short",
            Query(total(gauge("process.unix.file_descriptor.count", TARGET), "component"), "{{component}}"),
        ),
        timeseries(
            "Disk", "Bytes read and written.", "Bps", Query(disk, "{{component}} {{disk_io_direction}}")
        ),
        timeseries(
            "Network",
            "Bytes through the interfaces of the pod or host, loopback left out.",
            "Bps",
            Query(network, "{{network_io_direction}}"),
        ),
        timeseries(
            "Uptime", "Time since the youngest process started.", "s", Query(youngest, "{{component}}")
        ),
    )


def sidecar() -> Sequence[Panel]:
    state = table(
        "Collectors",
        "How each collector's last run went.",
        ("collector",),
        {
            "Success": (
                Query(f"min by (collector) ({gauge('modeltap.collector.success', TARGET)})", shape="table"),
                "bool_yes_no",
            ),
            "Duration": (
                Query(f"max by (collector) ({gauge('modeltap.collector.duration', TARGET)})", shape="table"),
                "s",
            ),
        },
    )
    version = table(
        "Sidecar versions",
        "Replicas by version, and the series that their last rendering held.",
        ("version", "python_version"),
        {
            "Replicas": (
                Query(
                    f"count by (version, python_version) ({gauge('modeltap.build', TARGET)})", shape="table"
                ),
                "short",
            ),
            "Series": (
                Query(
                    f"sum by (version, python_version) ({gauge('modeltap.series', TARGET)} "
                    f"* on (job, instance) group_left (version, python_version) "
                    f"{gauge('modeltap.build', TARGET)})",
                    shape="table",
                ),
                "short",
            ),
        },
    )
    return (*_cost(), *_losses(), state, version)


def _cost() -> Sequence[Panel]:
    lag = f"max by (component) ({gauge('modeltap.event_loop.lag', TARGET)})"
    spent = [
        Query(f"max({gauge(f'modeltap.{what}.duration', TARGET)})", word)
        for what, word in (("scrape", "scrape"), ("tick", "comparison"))
    ]
    usage = total(gauge("modeltap.queue.usage", TARGET))
    flow = (
        Query(total(rate("modeltap.records.offered", TARGET)), "offered"),
        Query(total(rate("modeltap.records.acknowledged", TARGET)), "processed"),
    )
    return (
        latency(
            "Overhead",
            "Time per exchange from a readable event to the write call, both ways.",
            quantiles("modeltap.overhead", TARGET),
        ),
        timeseries(
            "Event loop lag",
            "How late a timer ran, the worst of the last 30 seconds.",
            "s",
            Query(lag, "{{component}}"),
        ),
        timeseries("Scrape and comparison", "How long the last rendering and comparison took.", "s", *spent),
        timeseries("Exchanges to the analysis", "Exchanges offered and processed per second.", "ops", *flow),
        timeseries(
            "Queue to the analysis", "Bytes on their way to the analysis.", "bytes", Query(usage, "bytes")
        ),
        timeseries(
            "Exchanges on their way",
            "Exchanges offered and not yet processed.",
            "short",
            Query(total(gauge("modeltap.records.unacknowledged", TARGET)), "exchanges"),
        ),
        timeseries(
            "Sampling",
            "Smallest share of exchanges handed to the analysis; 1 unless it cannot keep up.",
            "percentunit",
            Query(f"min({gauge('modeltap.sampling.ratio', TARGET)})", "share"),
        ),
    )


def _losses() -> Sequence[Panel]:
    return (
        _count(
            "Exchanges dropped",
            "Counted but not analysed.",
            "None dropped",
            _by("modeltap.records.dropped", "reason"),
        ),
        _count(
            "Bodies dropped",
            "Forwarded but not kept for decoding.",
            "None dropped",
            _by("modeltap.captures.dropped", "reason"),
        ),
        empty(
            timeseries(
                "Bytes not kept",
                "Bytes of bodies that were not kept.",
                "bytes",
                _by("modeltap.captures.dropped.size", "reason"),
            ),
            "None dropped",
        ),
        _count(
            "Restarts",
            "Restarts of the sidecar's own processes.",
            "None",
            _by("modeltap.restarts", "component", "reason"),
        ),
        _count(
            "Reloads",
            "Files read again; replicas by the hash of their configuration.",
            "None",
            _by("modeltap.reloads", "kind", "outcome"),
            Query(f"count by (hash) ({gauge('modeltap.config', TARGET)})", "replicas {{hash}}"),
        ),
        _count(
            "Desyncs",
            "Connections relayed opaquely, framing uncertain.",
            "None",
            _by("modeltap.desyncs", "direction", "reason"),
        ),
        empty(
            timeseries(
                "Certificates end in",
                "Time left of the certificates that the sidecar shows; below zero they are refused.",
                "s",
                Query(
                    f"min by (component) ({gauge('modeltap.certificate.expiry', TARGET)}) - time()",
                    "{{component}}",
                ),
            ),
            "No certificates",
        ),
        empty(
            timeseries(
                "Turned away at the admin side",
                "Requests per second that web.config refused.",
                "reqps",
                Query(total(rate("modeltap.admin.refused", TARGET), "reason"), "{{reason}}"),
            ),
            "No web.config",
        ),
        timeseries(
            "Written to the admin side",
            "Requests per second that wrote, or wanted to, by what became of them.",
            "reqps",
            Query(total(rate("modeltap.writes", TARGET), "resource", "outcome"), "{{resource}} {{outcome}}"),
        ),
        *_outcomes(),
        *gpu.reading(),
    )


def _outcomes() -> Sequence[Panel]:
    decoded = total(increase("model.exchanges.decoded", MODEL), "protocol", "outcome")
    probe = Query(f"max({gauge('model.probe.duration', TARGET)})", "probe")
    return (
        timeseries(
            "Decoding",
            "Exchanges by what the decoder made of them.",
            "short",
            Query(decoded, "{{protocol}} {{outcome}}"),
        ),
        _count(
            "Left out or repeated",
            "Exchanges whose rows are not counted, by reason; requests whose id came before.",
            "None",
            _by("model.exchanges.excluded", "reason"),
            _by("model.requests.repeated"),
        ),
        _count(
            "Traces",
            "Spans exported and lost, and what was done with trace context.",
            "No tracing",
            *(_by("modeltap.spans.exported"), _by("modeltap.spans.dropped", "reason")),
            _by("modeltap.trace.contexts", "outcome"),
        ),
        _count(
            "Late spans",
            "Exchanges that were not sampled and got a span when they were over, by why.",
            "No late spans",
            _by("modeltap.spans.late", "reason"),
        ),
        _count(
            "OTLP exports",
            "Exports by outcome, and what collectors refused of those that they took.",
            "No OTLP target",
            _by("modeltap.otlp.exports", "signal", "outcome"),
            Query(total(increase("modeltap.otlp.rejected", TARGET), "signal"), "{{signal}} rejected"),
        ),
        _count(
            "Events",
            "Events exported as OTLP log records, and those lost.",
            "No OTLP target",
            *(_by("modeltap.events.exported"), _by("modeltap.events.dropped", "reason")),
        ),
        empty(
            timeseries("Probe duration", "How long the last probe of the upstream took.", "s", probe),
            "No probe yet",
        ),
    )


def _by(name: str, *labels: str) -> Query:
    # What has no label is called by the last word of its name.
    legend = " ".join(f"{{{{{label}}}}}" for label in labels) or name.rpartition(".")[2]
    return Query(total(increase(name, TARGET), *labels), legend)


def _count(title: str, text: str, none: str, *queries: Query) -> Panel:
    return empty(timeseries(title, text, "short", *queries), none)
