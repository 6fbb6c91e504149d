"""Every setting, declared once: its key, how it is read, what it means; flags, variables and the file obey it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from exporter.analysis.known import JOIN_KEYS, STATISTIC_NAMES, TIME_UNITS
from exporter.proxy.settings import MODES
from exporter.records.observation import TASKS
from exporter.settings import description_values, label_values, values
from exporter.supervise.policy import POLICIES


@dataclass(frozen=True, slots=True)
class Setting:
    """One row: `parse` takes text or a YAML value and returns the field's value, or raises ValueError("expected …")."""

    key: str
    parse: Callable[[Any], Any]
    help: str
    repeat: bool = False

    @property
    def flag(self) -> str:
        """On the command line."""
        return "--" + self.key.replace("_", "-")

    @property
    def variable(self) -> str:
        """In the environment."""
        return "MODELTAP_" + self.key.upper()


SETTINGS: tuple[Setting, ...] = (
    Setting("upstream", values.upstream, "the model server: http://HOST:PORT"),
    Setting("listen", values.listen, "where clients connect (default [::]:9000)"),
    Setting(
        "forward",
        values.forwards,
        "a further listener: LISTEN=UPSTREAM; tcp://HOST:PORT is relayed unread; may be repeated",
        repeat=True,
    ),
    Setting(
        "mode", values.choice(*MODES), "observe, annotate (default), gate (default with a limit) or strict"
    ),
    Setting("admin", values.address, "where /metrics is served (default [::]:9464)"),
    Setting(
        "web_config",
        values.file,
        "TLS, users and rate limit of the admin side, in the format of Prometheus' exporters (YAML)",
    ),
    Setting(
        "write_token_file",
        values.file,
        "file with the token that lets other hosts write to the admin side; without it only this host may",
    ),
    Setting("health", values.address, "where /livez and /readyz are served (default [::]:9465)"),
    Setting("workers", values.number(1, 64, int), "data-plane processes (default 1)"),
    Setting(
        "reference",
        values.texts,
        "reference profile: a file or a folder of them; may be repeated",
        repeat=True,
    ),
    Setting("model_name", values.label, "name of the model, where neither path nor body tells it"),
    Setting("model_version", values.label, "version of the model; wins over what answers say"),
    Setting(
        "protocol",
        values.protocols,
        "dialect of what the path does not tell: DIALECT (of /invocations) or PATH=DIALECT; may be repeated",
        repeat=True,
    ),
    Setting(
        "custom",
        values.customs,
        "protocols of your own: a mapping, or a list of them (JSON on the command line)",
    ),
    Setting(
        "task",
        values.choice(*TASKS[:-1]),
        "what the outputs are: binary, multiclass, multilabel, regression, interval, ranking, embedding or text",
    ),
    Setting("positive_class", values.label, "the class that a binary model's probability is of"),
    Setting(
        "threshold",
        values.number(0, 1, float),
        "probability from which that class is predicted (default 0.5)",
    ),
    Setting("lower_output", values.label, "the output that is an interval's lower end"),
    Setting("upper_output", values.label, "the output that is an interval's upper end"),
    Setting(
        "missing_values", values.labels(), "values that stand for a missing one, in any column, such as -999"
    ),
    Setting(
        "id_columns", values.labels(), "payload columns that identify a row: they are keys, and no features"
    ),
    Setting(
        "time_column",
        values.label,
        "payload column that tells when a row happened (default: the profile's column of role time); no feature",
    ),
    Setting(
        "time_unit",
        values.choice(*TIME_UNITS),
        "unit of such times that are numbers (default s, or the profile's)",
    ),
    Setting("rules", values.rules, "what columns must be: a list of rules (JSON on the command line)"),
    Setting(
        "thresholds",
        description_values.thresholds,
        "scores from which on something is done, with the band around each (JSON on the command line)",
    ),
    Setting(
        "join_keys",
        values.labels(*JOIN_KEYS),
        "by which ids labels find their rows, in this order (default column,dialect,request_id,trace_id)",
    ),
    Setting(
        "label_store",
        values.label_store,
        "where predictions wait for labels: none (default), memory, sqlite:PATH or redis://HOST:PORT",
    ),
    Setting(
        "label_groups",
        values.segments,
        "columns by whose groups labels are counted apart: sex=F|M,age<=25|45, at most four",
    ),
    Setting(
        "label_receipts",
        values.file,
        "file with keys that sign receipts: rows for callers to keep, at /v1/receipts (default: none)",
    ),
    Setting("label_rows", values.number(1, 1_000_000_000, int), "rows that may wait (default 1000000)"),
    Setting("label_age", values.number(0.001, 366, float), "days that a row waits (default 30)"),
    Setting(
        "label_sample",
        values.number(0, 1, float),
        "share of requests whose rows wait, by a hash of the key (default 1)",
    ),
    Setting(
        "label_maturity",
        values.number(0, 366, float),
        "days after which the labels of an hour of predictions are complete (default: as label_age)",
    ),
    Setting(
        "label_unlabelled",
        values.label,
        "the class of what has no label by then, such as 0 for no fraud (default: left out)",
    ),
    Setting(
        "label_costs",
        label_values.costs,
        "what a row costs, by true and predicted class; below 0 is a gain (JSON on the command line)",
    ),
    Setting(
        "kpis", label_values.kpis, "numbers made of what labels say, with targets (JSON on the command line)"
    ),
    Setting(
        "label_requests",
        values.number(0, 1, float),
        "share of rows, at random, whose label is asked for at /v1/label-requests (default 0)",
    ),
    Setting(
        "label_requests_uncertain",
        values.number(0, 1, float),
        "the same of rows whose score is near the threshold (default 0)",
    ),
    Setting(
        "label_requests_band",
        values.number(0, 1, float),
        "how near the threshold that is (default 0.1)",
    ),
    Setting(
        "warm_up",
        values.number(0, 1_000_000_000, int),
        "exchanges of each version that are not counted at first",
    ),
    Setting(
        "warm_up_header", values.field_name, "header field that marks an exchange as warm-up: not counted"
    ),
    Setting("ignore_header", values.field_name, "header field that marks an exchange as not to be counted"),
    Setting(
        "role_header",
        values.field_name,
        "header field that tells the role: live, shadow, canary or synthetic",
    ),
    Setting(
        "max_concurrency",
        values.number(0, 100_000, int),
        "requests that the model works on at once; 0 = no limit",
    ),
    Setting("max_queue", values.number(0, 1_000_000, int), "requests that may wait for a slot (default 100)"),
    Setting(
        "queue_timeout", values.number(0, 86400, float), "seconds that a request may wait for a slot; 0 = any"
    ),
    Setting("shed_status", values.shed_status, "answer to what is shed: 503 (default) or 429"),
    Setting(
        "max_connections", values.number(0, 1_000_000, int), "clients at once; 0 = by the descriptor limit"
    ),
    Setting("header_timeout", values.number(0, 3600, float), "seconds for a whole request head (default 30)"),
    Setting(
        "idle_timeout", values.number(0, 86400, float), "seconds between requests; 0 = as the model has it"
    ),
    Setting(
        "half_closed_timeout",
        values.number(1, 86400, float),
        "seconds without progress after a FIN (default 60)",
    ),
    Setting(
        "write_timeout",
        values.number(0, 86400, float),
        "seconds in which nothing is taken (default 300); 0 = any",
    ),
    Setting(
        "tunnel_timeout",
        values.number(0, 604800, float),
        "seconds of silence after an upgrade (default 3600)",
    ),
    Setting(
        "capture_bytes",
        values.number(0, 1 << 30, int),
        "largest body that is kept for decoding (default 1 MiB)",
    ),
    Setting("capture_total", values.number(0, 1 << 36, int), "all bodies kept at once (default 64 MiB)"),
    Setting(
        "latency_buckets", values.numbers(64, 1e-6, 86400), "bounds of the latency histograms in seconds"
    ),
    Setting(
        "windows",
        values.numbers(8, 1, 31 * 86400),
        "lengths of the rolling windows in seconds (default 300,3600,86400,604800)",
    ),
    Setting(
        "drift_effects",
        values.sizes(*STATISTIC_NAMES),
        "least distance that is called drift, by statistic: psi=0.2,wasserstein=0.3 (see docs/statistics.md)",
    ),
    Setting(
        "series_budget",
        values.number(0, 1_000_000, int),
        "series of bins for the columns of one model version and role (default 3000), references included",
    ),
    Setting(
        "hash_key",
        values.file,
        "file with the key with which the reference's categories were hashed (modeltap profile --hash-key)",
    ),
    Setting(
        "learn_file",
        values.file,
        "file to which a reference is learned from the traffic of a model without one; shared by replicas",
    ),
    Setting(
        "learn_rows", values.number(100, 1_000_000_000, int), "rows that it takes at least (default 10000)"
    ),
    Setting(
        "learn_hours",
        values.number(0, 8760, float),
        "hours that it takes at least, for days repeat (default 24)",
    ),
    Setting(
        "state_dir",
        values.file,
        "folder in which rolling windows, and what is known of the model's past, outlive a restart, one sidecar's own; "
        "without it both start empty",
    ),
    Setting(
        "tick_interval",
        values.number(0.1, 3600, float),
        "seconds between comparisons with the reference (default 5)",
    ),
    Setting(
        "series_hold",
        values.number(0, 15, float),
        "seconds for which a new series may show 0 first; 0 = never",
    ),
    Setting(
        "connect_timeout", values.number(0.01, 600, float), "seconds to reach the model server (default 1)"
    ),
    Setting(
        "upstream_source", values.choice("client", "loopback"), "address to dial from: client's or loopback"
    ),
    Setting("proxy_protocol", values.flag, "tell the model who connected, by PROXY protocol version 2"),
    Setting("forwarded_for", values.flag, "append the client's address to X-Forwarded-For"),
    Setting(
        "include_usage",
        values.flag,
        "ask for the token usage of streams whose clients did not, and hide it from them",
    ),
    Setting("tls_cert", values.file, "certificate chain of the listeners (PEM); read again when it changes"),
    Setting("tls_key", values.file, "key of the listeners (PEM)"),
    Setting("tls_client_ca", values.file, "authorities of clients' certificates (PEM)"),
    Setting("tls_client_auth", values.choice("none", "optional", "required"), "certificates of clients"),
    Setting(
        "upstream_ca", values.file, "authorities of the model's certificate (PEM; default: the system's)"
    ),
    Setting("upstream_cert", values.file, "certificate shown to the model (PEM)"),
    Setting("upstream_key", values.file, "its key (PEM)"),
    Setting("upstream_name", values.label, "name in the model's certificate (default: its host)"),
    Setting("upstream_verify", values.flag, "whether the model's certificate must be valid (default true)"),
    Setting(
        "drain_quiet",
        values.number(0, 3600, float),
        "seconds without a request before a drain stops accepting",
    ),
    Setting("grace", values.number(0.1, 86400, float), "seconds that a drain may take in all (default 25)"),
    Setting(
        "final_scrape_wait", values.number(0, 300, float), "seconds to wait for a last scrape after a drain"
    ),
    Setting(
        "restart",
        values.choice(*POLICIES),
        "wrap: when the model is started again: never, on-failure (default) or always",
    ),
    Setting(
        "restart_limit",
        values.number(0, 1_000_000, int),
        "wrap: restarts in a row after which it is left ended; 0 = any (default)",
    ),
    Setting(
        "restart_delay",
        values.number(0, 3600, float),
        "wrap: longest delay of a restart in seconds; the first is 0.1, then it doubles (default 30)",
    ),
    Setting("stop_signal", values.signal_name, "wrap: signal that tells the model to stop (default TERM)"),
    Setting(
        "death_signal", values.signal_name, "wrap: signal that the model gets if we are killed (default TERM)"
    ),
    Setting(
        "probe_path",
        values.path,
        "path that answers 2xx when the model is ready (default: the dialect's own, once it is known)",
    ),
    Setting(
        "probe_interval", values.number(0.1, 3600, float), "seconds between probes of the model (default 5)"
    ),
    Setting("probe_seconds", values.number(0.01, 600, float), "seconds that a probe may take (default 2)"),
    Setting(
        "stable_after",
        values.number(0, 604800, float),
        "seconds in use and up after which a version counts as a stable deployment (default 600)",
    ),
    Setting(
        "ready_within",
        values.number(0.1, 604800, float),
        "seconds in which a model server that was started has to be ready (default 900)",
    ),
    Setting(
        "artifacts",
        description_values.artifacts,
        "files of the model that are hashed: /PATH or /PATTERN, with =sha256:DIGEST where one is expected; may be "
        "repeated",
        repeat=True,
    ),
    Setting(
        "artifact_sums",
        description_values.places,
        "list of such digests, as sha256sum writes it; may be repeated",
        repeat=True,
    ),
    Setting(
        "artifact_interval",
        values.number(60, 31 * 86400, float),
        "seconds after which an unchanged file is hashed again (default 21600)",
    ),
    Setting(
        "artifact_rate",
        values.number(65536, 1 << 36, int),
        "bytes of such files that are read in a second at most (default 33554432)",
    ),
    Setting(
        "descriptions",
        description_values.descriptions,
        "descriptions of the model: a file or folder (see modeltap describe), with =sha256:DIGEST where one is "
        "expected; may be repeated",
        repeat=True,
    ),
    Setting("model_owner", values.label, "whom the model belongs to (default: as described)"),
    Setting("model_team", values.label, "the team that is responsible for it (default: as described)"),
    Setting(
        "upstream_metrics",
        values.metrics_place,
        "the model server's own metrics: URL, /PATH, :PORT[/PATH] or off (default: looked for)",
    ),
    Setting(
        "upstream_metrics_interval",
        values.number(0.1, 3600, float),
        "seconds between readings of the model server's own metrics (default 15)",
    ),
    Setting(
        "include_upstream",
        values.flag,
        "merge the model server's own metrics into every scrape; otherwise ?include=upstream does",
    ),
    Setting(
        "analysis_cpu", values.number(0, 64, float), "CPU budget of the analysis in cores; 0 = by the quota"
    ),
    Setting(
        "analysis_memory",
        values.number(0, 1 << 40, int),
        "memory bound of the analysis in bytes; 0 = by the limit",
    ),
    Setting(
        "payload_log_target",
        values.payload_target,
        "where payloads are logged: http(s)://SINK, a folder, or a file that ends in .jsonl (default: nowhere)",
    ),
    Setting("payload_log_mode", values.choice("all", "request", "response"), "which events (default all)"),
    Setting(
        "payload_log_sample", values.number(0, 1, float), "share of exchanges, by request id (default 1)"
    ),
    Setting("payload_log_errors", values.flag, "log every exchange that failed (default true)"),
    Setting(
        "payload_log_headers",
        values.stored_headers,
        "request headers that are logged; may be repeated",
        repeat=True,
    ),
    Setting(
        "payload_log_redact",
        values.redactions,
        "what is masked: customer.email, instances[*].ssn, **.ssn, header:NAME; may be repeated",
        repeat=True,
    ),
    Setting("payload_log_plain", values.flag, "undo the content coding of bodies (default true)"),
    Setting(
        "payload_log_queue", values.number(65536, 1 << 36, int), "bytes that may wait (default 16777216)"
    ),
    Setting(
        "payload_log_drop", values.choice("newest", "oldest"), "what goes when it is full (default newest)"
    ),
    Setting("payload_log_retries", values.number(0, 100, int), "further attempts of a delivery (default 5)"),
    Setting("payload_log_seconds", values.number(0.1, 600, float), "seconds of one attempt (default 10)"),
    Setting("payload_log_concurrency", values.number(1, 64, int), "deliveries to a sink at once (default 4)"),
    Setting(
        "payload_log_ca", values.file, "authorities of the sink's certificate (PEM; default: the system's)"
    ),
    Setting("payload_log_token_file", values.file, "bearer token for the sink; read again when it changes"),
    Setting("payload_log_source", values.label, "ce-source (default: http://HOST:PORT/ of this sidecar)"),
    Setting("payload_log_service", values.label, "ce-inferenceservicename (default: the model's name)"),
    Setting("payload_log_namespace", values.label, "ce-namespace"),
    Setting("payload_log_component", values.label, "ce-component (default predictor)"),
    Setting("payload_log_endpoint", values.label, "ce-endpoint (default default)"),
    Setting(
        "payload_log_file_bytes", values.number(4096, 1 << 40, int), "size of one file (default 67108864)"
    ),
    Setting(
        "payload_log_file_seconds", values.number(1, 31 * 86400, float), "age of one file (default 3600)"
    ),
    Setting("payload_log_files", values.number(1, 100_000, int), "closed files that are kept (default 8)"),
    Setting("payload_log_gzip", values.flag, "compress files (default false)"),
    Setting(
        "access_log",
        values.access_target,
        "a line of JSON for each exchange: the absolute path of a file, or - for standard output (default: none)",
    ),
    Setting(
        "access_log_sample",
        values.number(0, 1, float),
        "share of exchanges that get one, by request id; those that failed always do (default 1)",
    ),
    Setting(
        "access_log_bytes",
        values.number(0, 1 << 40, int),
        "size at which its file becomes FILE.1 (default 104857600); 0 = it is rotated from outside",
    ),
    Setting(
        "late_spans",
        values.number(0, 10_000, int),
        "server spans a second for failed and slow exchanges that were not sampled; 0 = none (default)",
    ),
    Setting(
        "log_format", values.choice("text", "json"), "how it is logged: text (default) or json, a line each"
    ),
    Setting("log_level", values.choice("debug", "info", "warning", "error"), "what is logged (default info)"),
)
