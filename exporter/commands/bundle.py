"""A support bundle: what helps to find out what is wrong with a sidecar, in one archive, without payloads or secrets.

It only reads: the configuration, the host's limits, and what the running sidecar shows anybody (/metrics, /v1/drift,
its health). What cannot be had is a note in the bundle, and no failure. Never a body, a header's value, a token, a key.
"""

import gzip
import importlib.metadata
import io
import json
import os
import platform
import resource
import ssl
import tarfile
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

import exporter
from exporter.admin.door import MAX_TOKEN
from exporter.commands.masking import masked_environment, masked_settings, scrubbed, secrets
from exporter.commands.reach import places
from exporter.host.limits import cpu_budget, memory_bound
from exporter.settings.config import Config

FOLDER: Final = "modeltap-bundle"
MAX_MEMBER: Final = 8 << 20
LOG_TAIL: Final = 256 << 10
_SECONDS: Final = 10.0
_MODE: Final = 0o600
_PAGES: Final = (("metrics.txt", "/metrics"), ("drift.json", "/v1/drift"))
_HEALTH: Final = ("/livez", "/readyz")
_CGROUP: Final = (
    *("memory.max", "memory.high", "memory.current", "memory.peak", "memory.events", "memory.oom.group"),
    *("cpu.max", "cpu.stat", "cpu.pressure", "memory.pressure", "pids.max", "pids.current"),
    *("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    *("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us", "cpu/cpu.stat"),
)
_KERNEL: Final = (
    *("/proc/version", "/proc/loadavg", "/proc/meminfo", "/proc/self/cgroup", "/proc/sys/net/core/somaxconn"),
    *("/proc/sys/fs/file-max", "/proc/sys/net/ipv4/ip_local_port_range", "/proc/sys/vm/overcommit_memory"),
    *("/proc/sys/net/ipv6/bindv6only", "/etc/os-release"),
)


@dataclass(frozen=True, slots=True)
class Access:
    """How the admin side lets one in: authorities of its certificate, a file of NAME:PASSWORD; "" where not needed."""

    ca: str = ""
    user_file: str = ""


@dataclass(slots=True)
class Bundle:
    """Members by name; `known` are secrets that no member may hold, `notes` tell what is not there, and why."""

    known: frozenset[str] = frozenset()
    members: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, content: str | Mapping[str, Any]) -> None:
        """Text, or what is written as JSON; without secrets, and not without a bound."""
        text = content if isinstance(content, str) else json.dumps(content, indent=1, default=str) + "\n"
        if len(text) > MAX_MEMBER:
            self.notes.append(f"{name}: the first {MAX_MEMBER} characters of {len(text)}")
        self.members[name] = scrubbed(text[:MAX_MEMBER], self.known)

    def write(self, place: str) -> None:
        """As a gzipped tar, for the owner alone. OSError where it cannot be written."""
        self.add("notes.txt", "".join(f"{note}\n" for note in self.notes))
        made = io.BytesIO()
        with gzip.open(made, "wb") as packed, tarfile.open(fileobj=packed, mode="w") as archive:
            for name, text in sorted(self.members.items()):
                data = text.encode("utf-8", "replace")
                info = tarfile.TarInfo(f"{FOLDER}/{name}")
                info.size, info.mtime, info.mode = len(data), int(time.time()), _MODE
                archive.addfile(info, io.BytesIO(data))
        with open(place, "wb", opener=lambda path, flags: os.open(path, flags, _MODE)) as file:
            file.write(made.getvalue())


def collected(config: Config | None, flags: Mapping[str, Any], check: str, access: Access) -> Bundle:
    """Everything but the log. `config` is None where the settings have problems, which `check` tells."""
    settings = msgspec.to_builtins(config) if config is not None else {}
    bundle = Bundle(
        secrets(os.environ, [*_strings(settings), *_strings(dict(flags))]) | _files(settings, access)
    )
    bundle.add("check.txt", check)
    bundle.add("configuration.json", masked_settings(settings))
    bundle.add("environment.json", masked_environment(os.environ))
    bundle.add("versions.json", versions())
    bundle.add("limits.json", limits(config))
    bundle.add("kernel.txt", "".join(_heads([Path(place) for place in _KERNEL])))
    bundle.add("cgroup.txt", "".join(_heads([Path("/sys/fs/cgroup") / name for name in _CGROUP])))
    if config is not None:
        _ask(bundle, config, access)
    return bundle


def add_log(bundle: Bundle, place: str) -> None:
    """The end of the sidecar's log; a note where it cannot be read."""
    try:
        with open(place, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_TAIL))
            bundle.add("log.txt", file.read(LOG_TAIL).decode("utf-8", "replace"))
    except OSError as error:
        bundle.notes.append(f"log.txt: {place}: {error.strerror}")


def versions() -> dict[str, Any]:
    """Of the sidecar, of what it is made of, and of what it runs on."""
    packages = {}
    for line in importlib.metadata.requires("modeltap") or ():
        name = line.split(";")[0].split("[")[0].strip().split("=")[0].rstrip("<>~! ")
        with suppress(importlib.metadata.PackageNotFoundError):
            packages[name] = importlib.metadata.version(name)
    return {
        "modeltap": exporter.__version__,
        "compiled": not str(getattr(importlib.import_module("exporter.proxy.tap"), "__file__", "")).endswith(
            ".py"
        ),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "libc": " ".join(platform.libc_ver()),
        "openssl": ssl.OPENSSL_VERSION,
        "packages": packages,
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def limits(config: Config | None) -> dict[str, Any]:
    """What the kernel grants this user, and what the analysis would make of the cgroup's limits."""
    names = sorted(name for name in vars(resource) if name.startswith("RLIMIT_"))
    granted = {name: resource.getrlimit(getattr(resource, name)) for name in names}
    found: dict[str, Any] = {
        "rlimits": granted,
        "cores": os.cpu_count(),
        "usable": len(os.sched_getaffinity(0)),
    }
    if config is not None:
        found["analysis_memory"] = memory_bound(config.analysis_memory)
        found["analysis_cpu"] = cpu_budget(config.analysis_cpu)
    return found


def _files(settings: Mapping[str, Any], access: Access) -> frozenset[str]:
    """The secrets within files that the configuration names."""
    found = set()
    for place in (settings.get("write_token_file"), settings.get("payload_log_token_file"), access.user_file):
        if place:
            with suppress(OSError):
                text = _bounded(Path(place)).strip()
                found |= {text, text.partition(":")[2]}
    return frozenset(one for one in found if one)


def _bounded(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MAX_TOKEN).decode("utf-8", "replace")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _strings(one)


def _heads(paths: list[Path]) -> Iterator[str]:
    """Each file that is there, under its name."""
    for path in paths:
        with suppress(OSError):
            yield f"== {path}\n{_bounded(path)}\n"


# ---------------------------------------------------------------- what the running sidecar shows


def _ask(bundle: Bundle, config: Config, access: Access) -> None:
    opened = _opener(bundle, access)
    scheme = "https" if access.ca else "http"
    headers = _authorization(bundle, access)
    for name, path in _PAGES:
        text = _got(bundle, opened, [f"{scheme}://{at}{path}" for at in _at("admin", config)], headers)
        if text is not None:
            bundle.add(name, text)
    found = {}
    for path in _HEALTH:
        text = _got(bundle, opened, [f"http://{at}{path}" for at in _at("health", config)], {})
        if text is not None:
            found[path] = text.strip()
    bundle.add("status.json", found)


def _at(key: str, config: Config) -> list[str]:
    found = places(key, {key: getattr(config, key)}, {})
    return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in found]


def _opener(bundle: Bundle, access: Access) -> urllib.request.OpenerDirector:
    # No proxy of the environment: it is this host that is asked.
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if access.ca:
        try:
            handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=access.ca)))
        except OSError as error:
            bundle.notes.append(f"--bundle-ca {access.ca}: {error.strerror or error}")
    return urllib.request.build_opener(*handlers)


def _authorization(bundle: Bundle, access: Access) -> dict[str, str]:
    if not access.user_file:
        return {}
    try:
        told = _bounded(Path(access.user_file)).strip()
    except OSError as error:
        bundle.notes.append(f"--bundle-user-file {access.user_file}: {error.strerror}")
        return {}
    return {"Authorization": f"Basic {b64encode(told.encode()).decode()}"}


def _got(
    bundle: Bundle, opened: urllib.request.OpenerDirector, urls: list[str], headers: dict[str, str]
) -> str | None:
    """The first answer, whatever its status; None and a note where there is none, or it lets nobody in."""
    why = []
    for url in urls:
        try:
            with opened.open(urllib.request.Request(url, headers=headers), timeout=_SECONDS) as answer:
                return str(answer.read(MAX_MEMBER + 1).decode("utf-8", "replace"))
        except urllib.error.HTTPError as error:
            if error.code == 503:  # the health port's way to say no
                return error.read(MAX_TOKEN).decode("utf-8", "replace")
            why.append(f"{url}: answers {error.code}")
        except (OSError, ValueError) as error:
            why.append(f"{url}: {getattr(error, 'reason', '') or error}")
    bundle.notes.append("; ".join(why))
    return None
