"""Settings: one table, read from flags, environment, one YAML file and defaults, in that order of strength.

Every problem is reported at once, each with the key, the value and what was expected. Nothing is opened or resolved
here: a Config is a value that travels to the other processes as JSON.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from exporter.analysis.known import JOIN_KEYS
from exporter.proxy.settings import Settings, Tls, Upstream
from exporter.proxy.trace import SAMPLERS
from exporter.records.catalogue import LATENCY_BUCKETS
from exporter.records.cost import Cost
from exporter.records.custom import Custom, CustomError
from exporter.records.kpi import Kpi
from exporter.records.problems import Problems
from exporter.records.routes import SHARED_PATH
from exporter.records.rule import Rule, RuleError
from exporter.records.segment import Segment
from exporter.records.threshold import Threshold
from exporter.settings.options import SETTINGS, Setting


class ConfigError(Exception):
    """All problems of a configuration, one line each."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What the user decided; see SETTINGS for the meaning of each field."""

    upstream: str
    listen: str = "[::]:9000"
    admin: str = "[::]:9464"
    health: str = "[::]:9465"
    web_config: str = ""
    write_token_file: str = ""
    forward: tuple[str, ...] = ()
    mode: str = ""
    workers: int = 1
    reference: tuple[str, ...] = ()
    model_name: str = ""
    model_version: str = ""
    protocol: tuple[str, ...] = ()
    custom: tuple[Custom, ...] = ()
    task: str = ""
    positive_class: str = ""
    threshold: float = 0.5
    lower_output: str = ""
    upper_output: str = ""
    missing_values: tuple[str, ...] = ()
    id_columns: tuple[str, ...] = ()
    time_column: str = ""
    time_unit: str = ""
    rules: tuple[Rule, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    join_keys: tuple[str, ...] = JOIN_KEYS
    label_groups: tuple[Segment, ...] = ()
    label_store: str = "none"
    label_receipts: str = ""
    label_rows: int = 1_000_000
    label_age: float = 30.0
    label_sample: float = 1.0
    label_maturity: float = 0.0
    label_unlabelled: str = ""
    label_costs: tuple[Cost, ...] = ()
    kpis: tuple[Kpi, ...] = ()
    label_requests: float = 0.0
    label_requests_uncertain: float = 0.0
    label_requests_band: float = 0.1
    warm_up: int = 0
    warm_up_header: str = ""
    ignore_header: str = ""
    role_header: str = ""
    max_concurrency: int = 0
    max_queue: int = 100
    queue_timeout: float = 0.0
    shed_status: int = 503
    max_connections: int = 0
    header_timeout: float = 30.0
    idle_timeout: float = 0.0
    half_closed_timeout: float = 60.0
    write_timeout: float = 300.0
    tunnel_timeout: float = 3600.0
    capture_bytes: int = 1 << 20
    capture_total: int = 64 << 20
    latency_buckets: tuple[float, ...] = LATENCY_BUCKETS
    windows: tuple[float, ...] = (300.0, 3600.0, 86400.0, 604800.0)
    drift_effects: tuple[str, ...] = ()
    series_budget: int = 3000
    hash_key: str = ""
    learn_file: str = ""
    learn_rows: int = 10_000
    learn_hours: float = 24.0
    state_dir: str = ""
    tick_interval: float = 5.0
    series_hold: float = 15.0
    connect_timeout: float = 1.0
    upstream_source: str = "client"
    proxy_protocol: bool = False
    forwarded_for: bool = False
    include_usage: bool = False
    tls_cert: str = ""
    tls_key: str = ""
    tls_client_ca: str = ""
    tls_client_auth: str = "none"
    upstream_ca: str = ""
    upstream_cert: str = ""
    upstream_key: str = ""
    upstream_name: str = ""
    upstream_verify: bool = True
    drain_quiet: float = 0.0
    grace: float = 25.0
    final_scrape_wait: float = 0.0
    restart: str = "on-failure"
    restart_limit: int = 0
    restart_delay: float = 30.0
    stop_signal: str = "TERM"
    death_signal: str = "TERM"
    probe_path: str = ""
    probe_interval: float = 5.0
    probe_seconds: float = 2.0
    stable_after: float = 600.0
    ready_within: float = 900.0
    artifacts: tuple[str, ...] = ()
    artifact_sums: tuple[str, ...] = ()
    artifact_interval: float = 21_600.0
    artifact_rate: int = 32 << 20
    descriptions: tuple[str, ...] = ()
    model_owner: str = ""
    model_team: str = ""
    upstream_metrics: str = ""
    upstream_metrics_interval: float = 15.0
    include_upstream: bool = False
    analysis_cpu: float = 0.0
    analysis_memory: int = 0
    payload_log_target: str = ""
    payload_log_mode: str = "all"
    payload_log_sample: float = 1.0
    payload_log_errors: bool = True
    payload_log_headers: tuple[str, ...] = ()
    payload_log_redact: tuple[str, ...] = ()
    payload_log_plain: bool = True
    payload_log_queue: int = 16 << 20
    payload_log_drop: str = "newest"
    payload_log_retries: int = 5
    payload_log_seconds: float = 10.0
    payload_log_concurrency: int = 4
    payload_log_ca: str = ""
    payload_log_token_file: str = ""
    payload_log_source: str = ""
    payload_log_service: str = ""
    payload_log_namespace: str = ""
    payload_log_component: str = "predictor"
    payload_log_endpoint: str = "default"
    payload_log_file_bytes: int = 64 << 20
    payload_log_file_seconds: float = 3600.0
    payload_log_files: int = 8
    payload_log_gzip: bool = False
    access_log: str = ""
    access_log_sample: float = 1.0
    access_log_bytes: int = 100 << 20
    late_spans: int = 0
    log_level: str = "info"
    log_format: str = "text"


_KEYS = {setting.key: setting for setting in SETTINGS}


def load(flags: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Config:
    """Put a Config together; ConfigError with every problem found.

    Of the environment only the settings' own variables are read, and empty ones are not set: Kubernetes puts
    MODELTAP_PORT and its like there for a Service of that name.
    """
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    values: dict[str, Any] = {}
    file = flags.get("config") or environ.get("MODELTAP_CONFIG")
    if file:
        found = _read_file(str(file), problems)
        problems += [_unknown(f"{file}: {key}") for key in found if key not in _KEYS]
        _take(values, found, lambda setting: f"{file}: {setting.key}", problems)
    named = {setting.key: environ[setting.variable] for setting in SETTINGS if environ.get(setting.variable)}
    _take(values, named, lambda setting: setting.variable, problems)
    _take(values, flags, lambda setting: setting.flag, problems)
    if "upstream" not in values and not any("upstream" in problem.lower() for problem in problems):
        problems.append(
            "--upstream (MODELTAP_UPSTREAM, upstream): missing; expected http://HOST:PORT of the model server"
        )
    problems += _contradictions(values)
    problems += _sampler_problems(environ)
    problems += _otlp(environ)[1]
    if problems:
        raise ConfigError(problems)
    return Config(**values)


def _contradictions(values: Mapping[str, Any]) -> list[str]:
    """What each setting allows and all together do not."""
    problems = []
    limited, mode = values.get("max_concurrency"), values.get("mode")
    if limited and values.get("workers", 1) > 1:
        problems.append("--max-concurrency: a limit needs one worker; expected --workers 1 or no limit")
    if limited and mode in ("observe", "annotate"):
        problems.append(
            f"--mode {mode}: never refuses, so it cannot keep --max-concurrency; expected gate or strict"
        )
    if mode == "observe" and values.get("forwarded_for"):
        problems.append(
            "--mode observe: changes nothing, so it cannot keep --forwarded-for; expected annotate"
        )
    if mode == "observe" and values.get("include_usage"):
        problems.append(
            "--mode observe: changes nothing, so it cannot keep --include-usage; expected annotate"
        )
    repeated = Counter(path for path, _ in _paths(values.get("custom", ()), values.get("protocol", ())))
    problems += [
        f"--custom and --protocol: {path!r} is told {times} times; expected one dialect for each path"
        for path, times in repeated.items()
        if times > 1
    ]
    for first, second in (("tls_cert", "tls_key"), ("upstream_cert", "upstream_key")):
        if bool(values.get(first)) is not bool(values.get(second)):
            problems.append(
                f"--{first.replace('_', '-')} and --{second.replace('_', '-')}: expected both or neither"
            )
    if bool(values.get("lower_output")) is not bool(values.get("upper_output")):
        problems.append("--lower-output and --upper-output: expected both or neither")
    if values.get("label_receipts") and values.get("label_store", "none") == "none":
        problems.append("--label-receipts: expected --label-store, where labels of receipts are counted")
    if values.get("tls_client_auth", "none") != "none" and not values.get("tls_client_ca"):
        problems.append(
            "--tls-client-auth: expected --tls-client-ca, the authorities of clients' certificates"
        )
    if values.get("payload_log_token_file") and not values.get("payload_log_target", "").startswith("https:"):
        problems.append(
            "--payload-log-token-file: expected --payload-log-target https://…, which keeps it secret"
        )
    return problems


def _take(
    values: dict[str, Any],
    layer: Mapping[str, Any],
    place: Callable[[Setting], str],
    problems: list[str],
) -> None:
    """Put the settings of one layer over those of the weaker ones; None is not set."""
    for setting in SETTINGS:
        value = layer.get(setting.key)
        if value is None:
            continue
        try:
            values[setting.key] = setting.parse(value)
        except (CustomError, RuleError, Problems) as error:
            problems += [f"{place(setting)}{problem}" for problem in error.problems]
        except ValueError as error:
            problems.append(f"{place(setting)}: {value!r}: {error}")


def _unknown(place: str) -> str:
    import difflib  # only for a mistake

    near = difflib.get_close_matches(place.rpartition(" ")[2], _KEYS, 1)
    return f"{place}: unknown setting; expected {near[0] if near else 'one of ' + ', '.join(_KEYS)}"


def _read_file(file: str, problems: list[str]) -> dict[str, Any]:
    import yaml  # only where a file is used: its import would cost every start

    class Words(yaml.SafeLoader):
        """Scalars as they are written, save null: `model_version: 1.10` is not 1.1, and `no` is a name."""

    Words.yaml_implicit_resolvers = {}
    Words.add_implicit_resolver(
        "tag:yaml.org,2002:null", re.compile("(~|null|Null|NULL|)$"), ["~", "n", "N", ""]
    )
    try:
        with open(file, encoding="utf-8") as stream:
            found = yaml.load(stream, Words)  # a SafeLoader
    except OSError as error:
        problems.append(f"{file}: cannot be read: {error.strerror}; expected a YAML file")
        return {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problems.append(f"{file}: not YAML: {' '.join(str(error).split())}")
        return {}
    if found is None:
        return {}
    if not isinstance(found, dict):
        problems.append(f"{file}: expected a mapping of settings, found {type(found).__name__}")
        return {}
    return {str(key): value for key, value in found.items()}


def _sampler_problems(environ: Mapping[str, str]) -> list[str]:
    name = environ.get("OTEL_TRACES_SAMPLER")
    problems = []
    if name and name not in SAMPLERS:
        problems.append(f"OTEL_TRACES_SAMPLER: {name!r}: expected one of {', '.join(SAMPLERS)}")
    try:
        ratio = float(environ.get("OTEL_TRACES_SAMPLER_ARG") or 0.01)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        problems.append(
            f"OTEL_TRACES_SAMPLER_ARG: {environ['OTEL_TRACES_SAMPLER_ARG']!r}: expected a number from 0 to 1"
        )
    return problems


def _otlp(environ: Mapping[str, str]) -> tuple[bool, list[str]]:
    """Whether traces are exported, and every problem of the OpenTelemetry variables."""
    if not any(name.startswith("OTEL_") and value for name, value in environ.items()):
        return False, []
    from exporter.publish.settings import read_config  # no SDK, but not for nothing either

    config, problems = read_config(environ)
    return config.traces, problems


def tracing_configured(environ: Mapping[str, str]) -> bool:
    """Whether a trace exporter has a target, by the standard variables."""
    return _otlp(environ)[0]


def upstream_of(url: str) -> Upstream:
    """The parts of what `values.upstream` read."""
    if url.startswith("unix:"):
        return Upstream(path=url.removeprefix("unix:"))
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Upstream(
        host=parts.hostname or "", port=port, tls=parts.scheme == "https", opaque=parts.scheme == "tcp"
    )


def listeners(config: Config) -> list[tuple[str, str]]:
    """(where clients connect, the upstream behind it), the main one first."""
    found = [(config.listen, config.upstream)]
    for item in config.forward:
        place, _, target = item.partition("=")
        found.append((place, target))
    return found


def owner_paths(config: Config) -> tuple[tuple[str, str], ...]:
    """(path, dialect) of what the owner told besides the table of routes."""
    return _paths(config.custom, config.protocol)


def _paths(custom: Iterable[Custom], protocol: Iterable[str]) -> tuple[tuple[str, str], ...]:
    found = [(one.path, "custom") for one in custom]
    for item in protocol:
        path, _, dialect = item.rpartition("=")
        found.append((path or SHARED_PATH, dialect))
    return tuple(found)


def proxy_settings(config: Config, environ: Mapping[str, str] | None = None) -> Settings:
    """The part that the data plane needs."""
    environ = os.environ if environ is None else environ
    same = {name: getattr(config, name) for name in Settings.__struct_fields__ if hasattr(config, name)}
    tls = {name: getattr(config, source) for name, source in _TLS_FIELDS.items()}
    return Settings(
        **{
            **same,
            "upstreams": tuple(upstream_of(url) for _, url in listeners(config)),
            "mode": config.mode or ("gate" if config.max_concurrency else "annotate"),
            "tls": Tls(**tls),
            "paths": owner_paths(config),
            "tracing": tracing_configured(environ),
            "every_exchange": bool(config.access_log),
            "sampler": environ.get("OTEL_TRACES_SAMPLER") or "parentbased_traceidratio",
            "sampler_ratio": float(environ.get("OTEL_TRACES_SAMPLER_ARG") or 0.01),
        }
    )


_TLS_FIELDS = {
    name: name if name.startswith("upstream_") else f"tls_{name}" for name in Tls.__struct_fields__
}
