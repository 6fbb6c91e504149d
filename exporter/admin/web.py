"""The admin side's own file, in the format of Prometheus' exporters (`web.config`): TLS, users, headers, a rate limit.

    tls_server_config:
      cert_file: server.pem
      key_file: server.key
      client_auth_type: RequireAndVerifyClientCert
      client_ca_file: ca.pem
    basic_auth_users:
      prometheus: $2y$10$...            # htpasswd -nBC 10 ""
    http_server_config:
      headers: {Strict-Transport-Security: max-age=31536000}
    rate_limit: {interval: 50ms, burst: 20}

Read again when it, or a file that it names, changes. What is wrong then changes nothing: a file that vanishes never
opens what was closed. Paths are relative to the file. Knows no routes.
"""

import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

_AUTH: Final = {
    "": ssl.CERT_NONE,
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_VERSIONS: Final = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_HEADERS: Final = frozenset(
    {
        *("Content-Security-Policy", "X-Frame-Options", "X-Content-Type-Options", "X-XSS-Protection"),
        "Strict-Transport-Security",
    }
)
_HASH: Final = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
_MOST_COST: Final = 14  # one check takes 16 times as long as with the usual 10
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_KEYS: Final[dict[str, frozenset[str]]] = {
    "tls_server_config": frozenset(
        {
            *("cert_file", "key_file", "client_auth_type", "client_ca_file", "client_allowed_sans"),
            *("min_version", "max_version"),
        }
    ),
    "http_server_config": frozenset({"http2", "headers"}),
    "rate_limit": frozenset({"interval", "burst"}),
}


class WebError(Exception):
    """A file that cannot be used; `problems` lists all that is wrong: place, value, what was expected."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


class TlsServer(msgspec.Struct, frozen=True):
    """`tls_server_config`; files are absolute."""

    cert_file: str
    key_file: str
    client_auth: ssl.VerifyMode
    client_ca_file: str
    allowed_sans: frozenset[str]
    versions: tuple[ssl.TLSVersion, ssl.TLSVersion]


class WebConfig(msgspec.Struct, frozen=True):
    """What the file says. `rate`: seconds between two requests (0 = no limit) and how many may come at once."""

    tls: TlsServer | None = None
    users: dict[str, str] = {}
    headers: dict[str, str] = {}
    rate: tuple[float, int] = (0.0, 0)

    @property
    def certificate(self) -> str:
        """The file that the admin side shows to its clients, "" without TLS."""
        return self.tls.cert_file if self.tls is not None else ""

    @property
    def files(self) -> tuple[str, ...]:
        """The files that it names."""
        if self.tls is None:
            return ()
        return tuple(
            file for file in (self.tls.cert_file, self.tls.key_file, self.tls.client_ca_file) if file
        )


def read(file: str) -> WebConfig:
    """The file's content; WebError with every problem found."""
    import yaml  # only where a file is used

    try:
        found = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise WebError([f"{file}: cannot be read: {error.strerror}; expected a YAML file"]) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise WebError([f"{file}: not YAML: {' '.join(str(error).split())}"]) from error
    if found is None:
        return WebConfig()
    if not isinstance(found, dict):
        raise WebError([f"{file}: expected a mapping, found {type(found).__name__}"])
    return _Reader(file).config(found)


def context(tls: TlsServer) -> ssl.SSLContext:
    """What clients of the admin side are met with. WebError if a file cannot be used."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version, made.maximum_version = tls.versions
    made.options |= ssl.OP_NO_RENEGOTIATION
    made.set_alpn_protocols(["http/1.1"])
    try:
        made.load_cert_chain(tls.cert_file, tls.key_file, password="")
        if tls.client_auth != ssl.CERT_NONE:
            made.load_verify_locations(tls.client_ca_file)
            made.verify_mode = tls.client_auth
    except (ssl.SSLError, OSError, ValueError) as error:
        # OpenSSL does not tell which file it could not use.
        names = ", ".join(file for file in (tls.cert_file, tls.key_file, tls.client_ca_file) if file)
        why = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise WebError([f"{names}: {str(why).lower().replace('_', ' ')}; expected PEM files"]) from error
    return made


class _Reader:
    """Takes a file's mapping apart; problems are collected, not raised one by one."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._folder = Path(file).resolve().parent
        self._problems: list[str] = []

    def config(self, found: Mapping[Any, Any]) -> WebConfig:
        self._expect_keys("", found, frozenset({*_KEYS, "basic_auth_users"}))
        users = self._mapping(found, "basic_auth_users")
        http = self._mapping(found, "http_server_config")
        made = WebConfig(
            self._tls(found),
            {str(name): self._hash(str(name), value) for name, value in users.items()},
            self._headers(self._mapping(http, "headers")),
            self._rate(self._mapping(found, "rate_limit")),
        )
        if self._problems:
            raise WebError(self._problems)
        return made

    def _problem(self, place: str, value: object, expected: str) -> None:
        shown = "" if value is None else f" {value!r}:"
        self._problems.append(f"{self._file}: {place}:{shown} expected {expected}")

    def _expect_keys(self, place: str, found: Mapping[Any, Any], known: frozenset[str]) -> None:
        for key in found:
            if key not in known:
                self._problem(f"{place}{key}", None, f"one of {', '.join(sorted(known))}")

    def _mapping(self, found: Mapping[Any, Any], key: str) -> Mapping[Any, Any]:
        value = found.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._problem(key, value, "a mapping")
            return {}
        if key in _KEYS:
            self._expect_keys(f"{key}.", value, _KEYS[key])
        return value

    def _tls(self, found: Mapping[Any, Any]) -> TlsServer | None:
        fields = self._mapping(found, "tls_server_config")
        if not fields:
            return None
        auth = self._choice(fields, "client_auth_type", _AUTH, "")
        made = TlsServer(
            self._path(fields, "cert_file", needed=True),
            self._path(fields, "key_file", needed=True),
            auth,
            self._path(fields, "client_ca_file", needed=auth != ssl.CERT_NONE),
            self._texts(fields, "client_allowed_sans"),
            (
                self._choice(fields, "min_version", _VERSIONS, "TLS12"),
                self._choice(fields, "max_version", _VERSIONS, "TLS13"),
            ),
        )
        if made.versions[0] > made.versions[1]:
            self._problem("tls_server_config.max_version", None, "no less than min_version")
        if made.allowed_sans and auth == ssl.CERT_NONE:
            self._problem("tls_server_config.client_allowed_sans", None, "client_auth_type that verifies")
        return made

    def _choice(self, fields: Mapping[Any, Any], key: str, words: Mapping[str, Any], default: str) -> Any:
        value = fields.get(key, default)
        if value in words:
            return words[value]
        known = ", ".join(word for word in words if word)
        self._problem(f"tls_server_config.{key}", value, f"one of {known}")
        return words[default]

    def _path(self, fields: Mapping[Any, Any], key: str, needed: bool) -> str:
        value = fields.get(key) or ""
        if not isinstance(value, str) or (needed and not value):
            self._problem(f"tls_server_config.{key}", value or None, "the name of a PEM file")
            return ""
        return str(self._folder / value) if value else ""

    def _texts(self, fields: Mapping[Any, Any], key: str) -> frozenset[str]:
        value = fields.get(key) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self._problem(f"tls_server_config.{key}", value, "a list of names")
            return frozenset()
        return frozenset(value)

    def _hash(self, name: str, value: object) -> str:
        found = _HASH.fullmatch(value) if isinstance(value, str) else None
        if found is None or ":" in name:
            # Not shown: what stands there may be a password.
            self._problem(f"basic_auth_users.{name}", None, "a bcrypt hash, as htpasswd -nBC 10 prints it")
        elif not 4 <= int(found[1]) <= _MOST_COST:
            self._problem(f"basic_auth_users.{name}", None, f"a bcrypt cost from 4 to {_MOST_COST}")
        return str(value)

    def _headers(self, found: Mapping[Any, Any]) -> dict[str, str]:
        for name, value in found.items():
            if name not in _HEADERS:
                self._problem(
                    f"http_server_config.headers.{name}", None, f"one of {', '.join(sorted(_HEADERS))}"
                )
            elif not isinstance(value, str) or not value.isprintable():
                self._problem(f"http_server_config.headers.{name}", value, "printable text")
        return {str(name): str(value) for name, value in found.items()}

    def _rate(self, found: Mapping[Any, Any]) -> tuple[float, int]:
        interval, burst = found.get("interval", "0"), found.get("burst", 1)
        parts = _DURATION.fullmatch(str(interval))
        seconds = float(parts[1]) * _UNITS[parts[2]] if parts else 0.0
        if parts is None and str(interval) != "0":
            self._problem("rate_limit.interval", interval, "a duration such as 50ms or 1s")
        if not isinstance(burst, int) or isinstance(burst, bool) or burst < 1:
            self._problem("rate_limit.burst", burst, "a whole number of at least 1")
            return seconds, 1
        return seconds, burst
