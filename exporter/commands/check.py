"""`modeltap check`: would a sidecar with these settings run, is all there that they name, and what would it export.

Takes the settings of `modeltap run`, in all the ways in which they are given, and starts nothing. It reads the
certificates, the reference profiles and the token's file, connects to each upstream and asks the probe's path.
With --bundle it writes all that, and what a running sidecar shows, into an archive for whoever is to help.
Exit status: 0 if nothing is wrong; 2 with every problem that was found.
"""

import argparse
import http.client
import os
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, Final

from exporter.admin.door import MAX_TOKEN, token_of
from exporter.admin.web import WebError
from exporter.admin.web import read as read_web
from exporter.commands import run as running
from exporter.parts.certificates import shown, wrong
from exporter.parts.references import read_key
from exporter.parts.validity import validity
from exporter.proxy.settings import Settings, Upstream
from exporter.publish.settings import read_config
from exporter.records.catalogue import CATALOGUE, Metric, prometheus_name
from exporter.settings.config import (
    Config,
    ConfigError,
    listeners,
    load,
    proxy_settings,
    tracing_configured,
    upstream_of,
)
from exporter.stats import Profile, ProfileError
from exporter.stats import load as load_profile

_START, _TRAFFIC = "from the start", "with traffic"


@dataclass(frozen=True, slots=True)
class Found:
    """What was read."""

    config: Config
    profiles: tuple[Profile, ...]
    metrics_over_otlp: bool
    events: bool
    traces: bool

    @property
    def asks(self) -> bool:
        """Whether labels are asked for."""
        return max(self.config.label_requests, self.config.label_requests_uncertain) > 0


def _certified(found: Found) -> bool:
    config = found.config
    return bool(config.tls_cert or config.upstream_cert or config.web_config)


# What a family needs, by the beginning of its name: a test on what was read, and what it lacks otherwise.
_NEEDS: Final[tuple[tuple[str, Callable[[Found], bool], str], ...]] = (
    ("model.queue.", lambda found: found.config.max_concurrency > 0, "--max-concurrency"),
    ("model.requests.shed", lambda found: found.config.max_concurrency > 0, "--max-concurrency"),
    ("model.drift", lambda found: bool(found.profiles), "--reference"),
    ("model.window.correlation", lambda found: bool(found.profiles), "--reference"),
    ("model.window.association", lambda found: bool(found.profiles), "--reference"),
    ("model.expected.", lambda found: bool(found.profiles), "--reference"),
    ("model.reference.", lambda found: bool(found.profiles), "--reference"),
    ("model.profile.", lambda found: bool(found.profiles), "--reference"),
    ("model.process.", lambda found: False, "modeltap wrap"),
    ("model.job.", lambda found: False, "modeltap job"),
    ("model.event.", lambda found: bool(found.config.time_column), "--time-column"),
    (
        "model.artifact",
        lambda found: bool(found.config.artifacts or found.config.artifact_sums or found.config.descriptions),
        "--artifacts",
    ),
    ("model.description", lambda found: bool(found.config.descriptions), "--descriptions"),
    (
        "model.owner",
        lambda found: bool(found.config.descriptions or found.config.model_owner or found.config.model_team),
        "--model-owner",
    ),
    (
        "model.threshold.",
        lambda found: bool(found.config.thresholds or found.config.descriptions),
        "--thresholds",
    ),
    ("model.rules.", lambda found: bool(found.config.rules), "rules in the file"),
    ("model.label.requested", lambda found: found.asks, "--label-requests"),
    ("model.performance.asked", lambda found: found.asks, "--label-requests"),
    ("model.label.", lambda found: found.config.label_store != "none", "--label-store"),
    ("model.outcome.", lambda found: found.config.label_store != "none", "--label-store"),
    ("model.performance.", lambda found: found.config.label_store != "none", "--label-store"),
    ("model.target.", lambda found: found.config.label_store != "none", "--label-store"),
    ("model.cost.", lambda found: bool(found.config.label_costs), "--label-costs"),
    ("model.kpi.", lambda found: bool(found.config.kpis), "--kpis"),
    ("model.contest.", lambda found: found.config.label_store != "none", "--label-store"),
    ("modeltap.label_receipts", lambda found: bool(found.config.label_receipts), "--label-receipts"),
    ("modeltap.label_requests.", lambda found: found.asks, "--label-requests"),
    ("modeltap.label", lambda found: found.config.label_store != "none", "--label-store"),
    ("modeltap.window.snapshots", lambda found: bool(found.config.state_dir), "--state-dir"),
    ("modeltap.history.", lambda found: bool(found.config.state_dir), "--state-dir"),
    ("modeltap.certificate.", _certified, "a certificate"),
    ("modeltap.admin.", lambda found: bool(found.config.web_config), "--web-config"),
    ("modeltap.payload_log.", lambda found: bool(found.config.payload_log_target), "--payload-log-target"),
    ("modeltap.access_log.", lambda found: bool(found.config.access_log), "--access-log"),
    ("modeltap.spans.late", lambda found: found.traces and found.config.late_spans > 0, "--late-spans"),
    ("modeltap.spans.", lambda found: found.traces, "an OTLP endpoint for traces"),
    ("modeltap.events.", lambda found: found.events, "an OTLP endpoint for logs"),
    ("modeltap.otlp.", lambda found: found.metrics_over_otlp, "an OTLP endpoint for metrics"),
)
_TOLD_BY_SOME: Final = ("process.memory.pss", "system.disk.", "system.pressure.")
# Families that are there before any traffic.
_AT_ONCE: Final = (
    *("modeltap.", "process.", "system."),
    *("model.up", "model.probe", "model.connection", "model.requests.shed", "model.queue.length"),
    *("model.health.", "model.availability", "model.cold_start.", "model.restarts", "model.deployments"),
    *("model.exchanges.excluded", "model.requests.repeated"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The settings of `modeltap run`."""
    running.add_arguments(parser)
    parser.add_argument("--offline", action="store_true", help="do not connect to the upstreams")
    add = parser.add_argument
    add("--bundle", metavar="FILE", help="write a support bundle, too: a .tar.gz without payloads or secrets")
    add("--bundle-log", metavar="FILE", help="the sidecar's log, whose end is put into it")
    add(
        "--bundle-ca", metavar="FILE", help="authorities of the admin side's certificate, where it speaks TLS"
    )
    add("--bundle-user-file", metavar="FILE", help="NAME:PASSWORD for the admin side, where it has users")


_OWN: Final = ("offline", "bundle", "bundle_log", "bundle_ca", "bundle_user_file")


def run(args: argparse.Namespace) -> int:
    """Print what would be exported; 2 with every problem on stderr."""
    flags = {key: value for key, value in vars(args).items() if key not in _OWN}
    config, lines, problems = _checked(flags, args.offline)
    if lines:
        print("\n".join(lines))
    if args.bundle:
        problems += _bundled(args, config, flags, [*lines, *problems])
    return _told(problems) if problems else 0


def _checked(flags: dict[str, Any], offline: bool) -> tuple[Config | None, list[str], list[str]]:
    """The configuration, if there is one, what is to be said of it, and every problem."""
    try:
        config = load(flags)
        settings = proxy_settings(config)
    except ConfigError as error:
        return None, [], list(error.problems)
    profiles, problems = _profiles(config.reference, config.hash_key)
    problems += [*_files(config, settings), *_names(config, profiles)]
    if not offline:
        for (_, url), upstream in zip(listeners(config), settings.upstreams, strict=True):
            problems += _reached(url, upstream, config, settings)
    return config, report(_found(config, profiles)), problems


def _bundled(
    args: argparse.Namespace, config: Config | None, flags: dict[str, Any], said: list[str]
) -> list[str]:
    """Write the bundle; the problem, if it cannot be written."""
    from exporter.commands import bundle  # only for who asks

    access = bundle.Access(args.bundle_ca or "", args.bundle_user_file or "")
    made = bundle.collected(config, flags, "".join(f"{line}\n" for line in said), access)
    if args.bundle_log:
        bundle.add_log(made, args.bundle_log)
    try:
        made.write(args.bundle)
    except OSError as error:
        return [f"--bundle {args.bundle}: {error.strerror}; expected a file that can be written"]
    print(f"\nbundle {args.bundle}: {', '.join(sorted(made.members))}")
    for note in made.notes:
        print(f"not in it: {note}")
    return []


def _told(problems: Sequence[str]) -> int:
    for problem in problems:
        print(f"modeltap check: {problem}", file=sys.stderr)
    return 2


def _found(config: Config, profiles: Sequence[Profile]) -> Found:
    otlp, _ = read_config(os.environ)
    return Found(config, tuple(profiles), otlp.metrics, otlp.logs, tracing_configured(os.environ))


# ---------------------------------------------------------------- what is there


def _profiles(places: Sequence[str], hash_key: str) -> tuple[list[Profile], list[str]]:
    found: list[Profile] = []
    problems: list[str] = []
    for place in places:
        path = Path(place)
        files = sorted((*path.glob("*.json"), *path.glob("*.json.gz"))) if path.is_dir() else [path]
        if not files:
            problems.append(f"--reference {place}: no profile in this folder; expected *.json or *.json.gz")
        for file in files:
            try:
                found.append(load_profile(file).opened(_key(hash_key)))
            except ProfileError as error:
                problems.append(f"--reference {file}: {error}")
            except ValueError as error:
                problems.append(f"--reference {file}: {error}")
            except OSError as error:
                problems.append(
                    f"--reference {file}: {error.strerror}; expected a file of `modeltap profile`"
                )
    if hash_key and not os.path.isfile(hash_key):
        problems.append(f"--hash-key {hash_key}: no such file; expected one with a key")
    return found, problems


def _key(file: str) -> bytes:
    return read_key(file) if os.path.isfile(file) else b""


def _names(config: Config, profiles: Sequence[Profile]) -> Iterator[str]:
    """Profiles that can never be used, because the model is configured to have another name."""
    name = config.model_name
    for profile in profiles:
        if name and not fnmatchcase(name, profile.model_name):
            yield (
                f"--reference: the profile {profile.reference} is of model {profile.model_name!r}; "
                f"expected one of --model-name {name}"
            )


def _files(config: Config, settings: Settings) -> Iterator[str]:
    checks = (
        partial(running.check_files, settings),
        partial(running.check_web, config.web_config),
        partial(running.check_authorities, config.payload_log_ca),
        partial(running.check_receipts, config.label_receipts),
    )
    for check in checks:
        try:
            check()
        except ConfigError as error:
            yield from error.problems
    yield from _over(config, time.time())
    if config.write_token_file:
        try:
            with open(config.write_token_file, "rb") as stream:
                token_of(stream.read(MAX_TOKEN + 1))
        except OSError as error:
            yield f"--write-token-file {config.write_token_file}: {error.strerror}; expected a file with a token"
        except ValueError as error:
            yield f"--write-token-file {config.write_token_file}: {error}"


def _over(config: Config, now: float) -> Iterator[str]:
    admin = ""
    with suppress(WebError):  # told by `check_web`
        admin = read_web(config.web_config).certificate if config.web_config else ""
    for one in shown(config, admin):
        good = validity(one.file)
        if good is not None and (problem := wrong(one, good, now)):
            yield f"{problem}; expected a certificate that is valid now"


def _reached(url: str, upstream: Upstream, config: Config, settings: Settings) -> Iterator[str]:
    """What keeps an upstream from being reached; the probe's path is the first upstream's."""
    try:
        sock = _connected(upstream, settings)
    except OSError as error:
        # Certificates that do not fit are OSErrors too, with a message of their own.
        reason = getattr(error, "verify_message", "") or error.strerror or error
        yield f"upstream {url}: cannot be reached: {reason}; expected a model server that listens there"
        return
    with sock:
        if not config.probe_path or upstream_of(config.upstream) != upstream or upstream.opaque:
            return
        try:
            status = _asked(sock, upstream, config.probe_path)
        except (http.client.HTTPException, OSError) as error:
            yield f"--probe-path {config.probe_path}: no answer: {error or type(error).__name__}; expected 2xx"
        else:
            if not 200 <= status < 300:
                yield f"--probe-path {config.probe_path}: answers {status}; expected 2xx"


def _connected(upstream: Upstream, settings: Settings) -> socket.socket:
    if upstream.path:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(settings.connect_timeout)
        try:
            sock.connect(upstream.path)
        except OSError:
            sock.close()
            raise
        return sock
    sock = socket.create_connection((upstream.host, upstream.port), settings.connect_timeout)
    if not upstream.tls:
        return sock
    from exporter.proxy.tls import TlsError, server_name, upstream_context

    try:
        context = upstream_context(settings.tls)
        return context.wrap_socket(sock, server_hostname=server_name(settings.tls, upstream))
    except TlsError as error:
        sock.close()
        raise ssl.SSLError(str(error)) from error
    except OSError:
        sock.close()
        raise


def _asked(sock: socket.socket, upstream: Upstream, path: str) -> int:
    connection = http.client.HTTPConnection(upstream.host or "localhost", upstream.port or 80)
    connection.sock = sock
    connection.request("GET", path)
    return connection.getresponse().status


# ---------------------------------------------------------------- what is exported


def report(found: Found) -> list[str]:
    """Lines for a person: what is configured, and every family with when it is there."""
    lines = [f"listener {place}, upstream {url}" for place, url in listeners(found.config)]
    for profile in found.profiles:
        columns = f"{len(profile.columns)} columns of {profile.rows} rows"
        lines.append(
            f"reference {profile.reference}: {columns}, for model {profile.model_name}, version {profile.model_version}"
        )
    lines += [f"custom dialect on {custom.path}" for custom in found.config.custom]
    lines.append("")
    rows = [(prometheus_name(row), when(row, found)) for row in CATALOGUE]
    width = max(len(name) for name, _ in rows)
    return [*lines, *[f"{name:<{width}}  {text}" for name, text in rows]]


def when(row: Metric, found: Found) -> str:
    """When a family is exported: from the start, with traffic, or what it needs to be."""
    for prefix, holds, need in _NEEDS:
        if row.name.startswith(prefix) and not holds(found):
            return f"not exported: needs {need}"
    if row.name.startswith("hw."):
        return "where there is a GPU"
    if row.name.startswith(("container.", "modeltap.container")):
        return "where a control group of the model or the sidecar can be read"
    if row.name.startswith(_TOLD_BY_SOME):
        return "where the kernel tells"
    return _START if row.name.startswith(_AT_ONCE) else _TRAFFIC
