"""Settings: one table, read from flags, environment, one YAML file and defaults, in that order of strength.

Every problem is reported at once, each with the key, the value and what was expected. Nothing is opened or resolved
here: a Config is a value that travels to the other processes as JSON.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from exporter.proxy.settings import Settings
from exporter.proxy.trace import SAMPLERS
from exporter.records.catalogue import LATENCY_BUCKETS


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
    workers: int = 1
    reference: tuple[str, ...] = ()
    model_name: str = ""
    model_version: str = ""
    max_concurrency: int = 0
    max_queue: int = 100
    capture_bytes: int = 1 << 20
    capture_total: int = 64 << 20
    latency_buckets: tuple[float, ...] = LATENCY_BUCKETS
    windows: tuple[float, ...] = (300.0, 3600.0)
    tick_interval: float = 5.0
    series_hold: float = 15.0
    connect_timeout: float = 1.0
    upstream_source: str = "client"
    drain_quiet: float = 0.0
    grace: float = 25.0
    probe_path: str = ""
    probe_interval: float = 5.0
    analysis_cpu: float = 0.0
    analysis_memory: int = 0
    log_level: str = "info"


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


def _text(value: Any) -> str:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise ValueError("expected text")
    return str(value)


def _url(value: Any) -> str:
    parts = urlsplit(_text(value))
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme != "http" or not parts.hostname or port == 0:
        raise ValueError("expected http://HOST[:PORT]")
    if parts.path not in ("", "/") or parts.query:
        raise ValueError("expected http://HOST[:PORT] without a path")
    return f"http://{parts.netloc}"


def split_address(address: str) -> tuple[str, int]:
    """HOST:PORT or [V6]:PORT or :PORT -> (host without brackets, port); ValueError if it is none of these."""
    host, colon, port = address.rpartition(":")
    if (
        not colon
        or not port.isdecimal()
        or int(port) > 65535
        or (":" in host and host[:1] + host[-1:] != "[]")
    ):
        raise ValueError("expected HOST:PORT, [V6]:PORT or :PORT")
    return host.strip("[]"), int(port)


def _address(value: Any) -> str:
    text = _text(value)
    split_address(text)
    return text


def _number(low: float, high: float, kind: type) -> Callable[[Any], Any]:
    word = "a whole number" if kind is int else "a number"

    def parse(value: Any) -> Any:
        try:
            number = kind(value)
        except (TypeError, ValueError):
            number = None
        if (
            number is None
            or isinstance(value, bool)
            or not low <= number <= high
            or (kind is int and number != float(value))
        ):
            raise ValueError(f"expected {word} from {low:g} to {high:g}")
        return number

    return parse


def _choice(*words: str) -> Callable[[Any], Any]:
    def parse(value: Any) -> Any:
        if value not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return value

    return parse


def _numbers(value: Any) -> tuple[float, ...]:
    items = value.split(",") if isinstance(value, str) else value
    try:
        numbers = tuple(float(item) for item in items)
    except (TypeError, ValueError):
        numbers = ()
    if (
        not numbers
        or any(b <= a for a, b in zip(numbers, numbers[1:], strict=False))
        or numbers[0] <= 0
        or len(numbers) > 64
    ):
        raise ValueError("expected up to 64 positive numbers in rising order, separated by commas")
    return numbers


def _texts(value: Any) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) and item for item in items):
        raise ValueError("expected file or folder names")
    return tuple(items)


SETTINGS: tuple[Setting, ...] = (
    Setting("upstream", _url, "the model server: http://HOST:PORT"),
    Setting("listen", _address, "where clients connect (default [::]:9000)"),
    Setting("admin", _address, "where /metrics is served (default [::]:9464)"),
    Setting("health", _address, "where /livez and /readyz are served (default [::]:9465)"),
    Setting("workers", _number(1, 64, int), "data-plane processes (default 1)"),
    Setting(
        "reference", _texts, "reference profile: a file or a folder of them; may be repeated", repeat=True
    ),
    Setting("model_name", _text, "name of the model, where neither path nor body tells it"),
    Setting("model_version", _text, "version of the model; wins over what answers say"),
    Setting(
        "max_concurrency", _number(0, 100_000, int), "requests that the model works on at once; 0 = no limit"
    ),
    Setting("max_queue", _number(0, 1_000_000, int), "requests that may wait for a slot (default 100)"),
    Setting(
        "capture_bytes", _number(0, 1 << 30, int), "largest body that is kept for decoding (default 1 MiB)"
    ),
    Setting("capture_total", _number(0, 1 << 36, int), "all bodies kept at once (default 64 MiB)"),
    Setting("latency_buckets", _numbers, "bounds of the latency histograms in seconds"),
    Setting("windows", _numbers, "lengths of the rolling windows in seconds (default 300,3600)"),
    Setting(
        "tick_interval",
        _number(0.1, 3600, float),
        "seconds between comparisons with the reference (default 5)",
    ),
    Setting(
        "series_hold", _number(0, 15, float), "seconds for which a new series may show 0 first; 0 = never"
    ),
    Setting("connect_timeout", _number(0.01, 600, float), "seconds to reach the model server (default 1)"),
    Setting("upstream_source", _choice("client", "loopback"), "address to dial from: client's or loopback"),
    Setting(
        "drain_quiet", _number(0, 3600, float), "seconds without a request before a drain stops accepting"
    ),
    Setting("grace", _number(0.1, 86400, float), "seconds that a drain may take in all (default 25)"),
    Setting("probe_path", _text, "path that answers 2xx when the model is ready (default: connect only)"),
    Setting("probe_interval", _number(0.1, 3600, float), "seconds between probes of the model (default 5)"),
    Setting("analysis_cpu", _number(0, 64, float), "CPU budget of the analysis in cores; 0 = by the quota"),
    Setting(
        "analysis_memory", _number(0, 1 << 40, int), "memory bound of the analysis in bytes; 0 = by the limit"
    ),
    Setting("log_level", _choice("debug", "info", "warning", "error"), "what is logged (default info)"),
)
_KEYS = {setting.key: setting for setting in SETTINGS}


def load(flags: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Config:
    """Put a Config together; ConfigError with every problem found."""
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    file = flags.get("config") or environ.get("MODELTAP_CONFIG")
    layers = [(f"{file}: {{}}", _read_file(file, problems) if file else {})]
    layers.append(("{}", {s.key: environ[s.variable] for s in SETTINGS if environ.get(s.variable)}))
    layers.append(("{}", {key: value for key, value in flags.items() if key in _KEYS and value is not None}))
    names: list[Callable[[Setting], str]] = [lambda s: s.key, lambda s: s.variable, lambda s: s.flag]
    values: dict[str, Any] = {}
    for (place, layer), name in zip(layers, names, strict=True):
        for key, value in layer.items():
            setting = _KEYS.get(key)
            if setting is None:
                problems.append(f"{place.format(key)}: unknown setting; expected one of {', '.join(_KEYS)}")
                continue
            try:
                values[key] = setting.parse(value)
            except ValueError as error:
                problems.append(f"{place.format(name(setting))}: {value!r}: {error}")
    if "upstream" not in values and not any("upstream" in problem for problem in problems):
        problems.append(
            "--upstream (MODELTAP_UPSTREAM, upstream): missing; expected http://HOST:PORT of the model server"
        )
    if values.get("workers", 1) > 1 and values.get("max_concurrency"):
        problems.append("--max-concurrency: a limit needs one worker; expected --workers 1 or no limit")
    problems += _sampler_problems(environ)
    if problems:
        raise ConfigError(problems)
    return Config(**values)


def _read_file(file: str, problems: list[str]) -> dict[str, Any]:
    import yaml  # only where a file is used: its import would cost every start

    try:
        with open(file, encoding="utf-8") as stream:
            found = yaml.safe_load(stream)
    except OSError as error:
        problems.append(f"{file}: cannot be read: {error.strerror}")
        return {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
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


def tracing_configured(environ: Mapping[str, str]) -> bool:
    """Whether a trace exporter has a target, by the standard variables."""
    if (
        environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
        or environ.get("OTEL_TRACES_EXPORTER") == "none"
    ):
        return False
    return bool(
        environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    )


def proxy_settings(config: Config, environ: Mapping[str, str] | None = None) -> Settings:
    """The part that the data plane needs."""
    environ = os.environ if environ is None else environ
    parts = urlsplit(config.upstream)
    sampler = environ.get("OTEL_TRACES_SAMPLER") or "parentbased_traceidratio"
    return Settings(
        upstream_host=parts.hostname or "",
        upstream_port=parts.port or 80,
        upstream_source=config.upstream_source,
        connect_timeout=config.connect_timeout,
        capture_bytes=config.capture_bytes,
        capture_total=config.capture_total,
        latency_buckets=config.latency_buckets,
        model_name=config.model_name,
        model_version=config.model_version,
        tracing=tracing_configured(environ),
        sampler=sampler,
        sampler_ratio=float(environ.get("OTEL_TRACES_SAMPLER_ARG") or 0.01),
        max_concurrency=config.max_concurrency,
        max_queue=config.max_queue,
        drain_quiet=config.drain_quiet,
        grace=config.grace,
    )
