"""Settings: one table, read from flags, environment, one YAML file and defaults, in that order of strength.

Every problem is reported at once, each with the key, the value and what was expected. Nothing is opened or resolved
here: a Config is a value that travels to the other processes as JSON.
"""

import itertools
import os
import re
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
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise ValueError("expected text")
    return str(value)


def _label(value: Any) -> str:
    text = _text(value)
    if len(text) > 128 or not text.isprintable():
        raise ValueError("expected at most 128 printable characters")
    return text


def _path(value: Any) -> str:
    text = _text(value)
    if text and (not text.startswith("/") or not text.isascii() or not text.isprintable() or " " in text):
        raise ValueError("expected a path that begins with /, percent-encoded")
    return text


def _url(value: Any) -> str:
    try:
        parts = urlsplit(_text(value))
        port = parts.port
    except ValueError:
        raise ValueError("expected http://HOST[:PORT]") from None
    host = parts.hostname or ""
    if parts.scheme != "http" or not host or port == 0 or "@" in parts.netloc or parts.netloc.endswith(":"):
        raise ValueError("expected http://HOST[:PORT]")
    if not parts.netloc.isascii() or not parts.netloc.isprintable() or " " in parts.netloc:
        raise ValueError("expected http://HOST[:PORT] in ASCII")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("expected http://HOST[:PORT] without a path")
    return f"http://{parts.netloc}"


def split_address(address: str) -> tuple[str, int]:
    """HOST:PORT or [V6]:PORT or :PORT -> (host without brackets, port); ValueError if it is none of these."""
    host, colon, port = address.rpartition(":")
    bracketed = host[:1] == "[" and host[-1:] == "]"
    bare = host[1:-1] if bracketed else host
    number = port.isascii() and port.isdecimal() and int(port[:6]) <= 65535
    if not colon or not number or (":" in bare) is not bracketed or set(bare) & set("[] /@"):
        raise ValueError("expected HOST:PORT, [V6]:PORT or :PORT")
    return bare, int(port)


def _address(value: Any) -> str:
    text = _text(value)
    split_address(text)
    return text


def _number(low: float, high: float, kind: type) -> Callable[[Any], Any]:
    word = "a whole number" if kind is int else "a number"

    def parse(value: Any) -> Any:
        try:
            number = None if isinstance(value, bool) else kind(value)
        except (TypeError, ValueError, OverflowError):
            number = None
        if number is None or not low <= number <= high or (kind is int and number != float(value)):
            raise ValueError(f"expected {word} from {low} to {high}")
        return number

    return parse


def _choice(*words: str) -> Callable[[Any], Any]:
    def parse(value: Any) -> Any:
        word = value.lower() if isinstance(value, str) else None
        if word not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return word

    return parse


def _numbers(most: int, low: float, high: float) -> Callable[[Any], Any]:
    def parse(value: Any) -> Any:
        items = value.split(",") if isinstance(value, str) else value
        try:
            numbers = [float("nan") if isinstance(item, bool) else float(item) for item in items]
        except (TypeError, ValueError, OverflowError):
            numbers = []
        rising = all(a < b for a, b in itertools.pairwise(numbers))
        if not rising or not 0 < len(numbers) <= most or not (low <= numbers[0] and numbers[-1] <= high):
            raise ValueError(f"expected 1 to {most} rising numbers from {low} to {high}, separated by commas")
        return tuple(numbers)

    return parse


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
    Setting("model_name", _label, "name of the model, where neither path nor body tells it"),
    Setting("model_version", _label, "version of the model; wins over what answers say"),
    Setting(
        "max_concurrency", _number(0, 100_000, int), "requests that the model works on at once; 0 = no limit"
    ),
    Setting("max_queue", _number(0, 1_000_000, int), "requests that may wait for a slot (default 100)"),
    Setting(
        "capture_bytes", _number(0, 1 << 30, int), "largest body that is kept for decoding (default 1 MiB)"
    ),
    Setting("capture_total", _number(0, 1 << 36, int), "all bodies kept at once (default 64 MiB)"),
    Setting("latency_buckets", _numbers(64, 1e-6, 86400), "bounds of the latency histograms in seconds"),
    Setting(
        "windows", _numbers(8, 1, 31 * 86400), "lengths of the rolling windows in seconds (default 300,3600)"
    ),
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
    Setting("probe_path", _path, "path that answers 2xx when the model is ready (default: connect only)"),
    Setting("probe_interval", _number(0.1, 3600, float), "seconds between probes of the model (default 5)"),
    Setting("analysis_cpu", _number(0, 64, float), "CPU budget of the analysis in cores; 0 = by the quota"),
    Setting(
        "analysis_memory", _number(0, 1 << 40, int), "memory bound of the analysis in bytes; 0 = by the limit"
    ),
    Setting("log_level", _choice("debug", "info", "warning", "error"), "what is logged (default info)"),
)
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
    if values.get("workers", 1) > 1 and values.get("max_concurrency"):
        problems.append("--max-concurrency: a limit needs one worker; expected --workers 1 or no limit")
    problems += _sampler_problems(environ)
    problems += _otlp(environ)[1]
    if problems:
        raise ConfigError(problems)
    return Config(**values)


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
