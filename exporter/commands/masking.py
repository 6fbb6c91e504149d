"""What may leave the host in a support bundle: settings and texts in, the same without secrets out.

Two nets, one behind the other: what is secret by its name or place is masked where it stands, and every secret that is
known (of token files, of the environment, of URLs) is taken out of every text once more. Reads no files.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from exporter.settings.options import SETTINGS

MASK: Final = "<masked>"
_LEAST_SECRET: Final = 4  # what is shorter would be found in words that are none
_SECRET_NAME: Final = re.compile(
    r"(?i)token|secret|passw|credential|api_?key|authorization|headers|cookie|private"
)
_IN_URL: Final = re.compile(r"(?<=://)[^/@\s\"']+(?=@)")
_QUERY: Final = re.compile(r"(?<=[?&])([^=&#\s\"']+)=[^&#\s\"']*")
_BEARER: Final = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{4,}")
_URL: Final = re.compile(r"(?<![a-z])[a-z]{1,16}://[^\s\"']+")
_HASHED: Final = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")
_PEM: Final = re.compile(r"-----BEGIN [^-]{0,40}PRIVATE KEY-----.*?(?:-----END [^-]*-----|\Z)", re.DOTALL)
# Settings that name a file with a secret, or fields by name: the name is none.
_NAMES_ONLY: Final = frozenset(
    {one.key for one in SETTINGS if one.key.endswith(("_file", "_key", "_headers"))}
)
_OURS: Final = {one.variable: one.key for one in SETTINGS}


def masked_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting with its value; a URL without its user and the values of its query."""
    return {key: _masked_value(value) for key, value in config.items()}


def masked_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """MODELTAP_ and OTEL_ variables: those that may hold a secret only by name."""
    found = {}
    for name, value in sorted(environ.items()):
        if not name.startswith(("MODELTAP_", "OTEL_")):
            continue
        key = _OURS.get(name)
        unknown = key is None and name.startswith("MODELTAP_")
        secret = key not in _NAMES_ONLY and _SECRET_NAME.search(name) is not None
        found[name] = MASK if (secret or unknown) and value else _attributes(name, value)
    return found


def secrets(environ: Mapping[str, str], texts: Iterable[str]) -> frozenset[str]:
    """Every secret that is known: of variables, of URLs within those and `texts`, and their parts."""
    found: set[str] = set()
    for name, value in environ.items():
        named = _SECRET_NAME.search(name) is not None and _OURS.get(name) not in _NAMES_ONLY
        if named and name.startswith(("MODELTAP_", "OTEL_")):
            found.add(value)
            # k=v,k=v as the standard variables have it; of `Bearer x` the word is no secret.
            for item in value.split(","):
                word = item.partition("=")[2].strip()
                found |= {word, word.rpartition("%20")[2], word.rpartition(" ")[2]}
    for text in (*texts, *environ.values()):
        for userinfo in _IN_URL.findall(text):
            found |= {userinfo, *userinfo.split(":")[1:]}
    return frozenset(one for one in found if len(one) >= _LEAST_SECRET)


def scrubbed(text: str, known: frozenset[str]) -> str:
    """The text without secrets: those that are known, and what looks like one."""
    for secret in sorted(known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    text = _PEM.sub(MASK, text)
    text = _HASHED.sub(MASK, text)
    text = _URL.sub(lambda found: str(_masked_value(found[0])), text)
    return _BEARER.sub(rf"\1 {MASK}", text)


def _masked_value(value: Any) -> Any:
    if isinstance(value, str):
        return _QUERY.sub(rf"\1={MASK}", _IN_URL.sub(MASK, value)) if "://" in value else value
    if isinstance(value, list | tuple):
        return [_masked_value(one) for one in value]
    return value


def _attributes(name: str, value: str) -> str:
    """Resource attributes may be named like secrets, each on its own."""
    if name != "OTEL_RESOURCE_ATTRIBUTES":
        return str(_masked_value(value))
    items = [item.partition("=") for item in value.split(",")]
    return ",".join(f"{key}={MASK if _SECRET_NAME.search(key) else text}" for key, _, text in items)
