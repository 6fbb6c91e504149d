"""Privacy: what a profile may say of values: rounded extremes, no categories that point at a person, or hashes of them.

Refuses to know files. Invariants: a rounded extreme never lies inside the one that it stands for; hashes depend on
the key and the canonical form alone, so that live categories can be hashed alike on every replica.

    hashed = hash_category("Rome", key)          # "h:" and 16 hex digits
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import math
import re
from collections.abc import Iterable
from typing import Final

SCHEME: Final = "hmac-sha256-64"
_PREFIX: Final = "h:"
_DIGITS: Final = 16
_REMEMBERED: Final = 4096
# Over this share of different values of one such form, a column is taken for what the form says.
_SHARE: Final = 0.5
_NAME_SHARE: Final = 0.9
# With so few different values, each of at least ten rows, a column that looks like names is no register of persons.
_FEW: Final = 20

_FORMS: Final = (
    ("e-mail addresses", re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}")),
    ("ids", re.compile(r"\{?[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\}?|[0-9a-fA-F]{16,}")),
    ("bank accounts", re.compile(r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?")),
    ("phone numbers", re.compile(r"(?:\+|00)[\d ()/.-]{7,20}|\(?0\d{2,5}\)?[ /-]\d[\d -]{4,14}")),
    ("network addresses", re.compile(r"\d{1,3}(?:\.\d{1,3}){3}|(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{1,4}")),
)
_PERSON: Final = re.compile(r"[^\W\d_][\w'’.-]*(?: [^\W\d_][\w'’.-]*){1,3}")
_NAME_WORDS: Final = frozenset(("firstname", "lastname", "surname", "fullname", "forename", "familyname"))
_NAME_PAIRS: Final = frozenset((("first", "name"), ("last", "name"), ("full", "name"), ("family", "name")))
_PERSONAL_WORDS: Final = {
    "email": "e-mail addresses",
    "mail": "e-mail addresses",
    "phone": "phone numbers",
    "telephone": "phone numbers",
    "mobile": "phone numbers",
    "ssn": "ids",
    "iban": "bank accounts",
    "passport": "ids",
    "uuid": "ids",
    "guid": "ids",
    "address": "addresses",
    "street": "addresses",
}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


def rounded_down(value: float) -> float:
    """The largest number of two significant digits that is not above; 0 stays 0. Finite."""
    return -rounded_up(-value)


def rounded_up(value: float) -> float:
    """The smallest number of two significant digits that is not below; 0 stays 0. Finite."""
    if value == 0.0 or not math.isfinite(value):
        return value + 0.0
    exponent = math.floor(math.log10(abs(value))) - 1
    # Written and read in decimal: 13 * 10**-2 is not the float that 0.13 is.
    near = round(value / 10.0**exponent) if -300 < exponent < 300 else 0
    for digits in (near - 1, near, near + 1, near + 2):
        found = float(f"{digits}e{exponent}")
        if near and found >= value and math.isfinite(found):
            return found
    return value


def personal(name: str, texts: Iterable[str]) -> str | None:
    """What the categories of a column look like that should not be in a profile; None for harmless ones.

    `texts`: its different values. By the column's name, or by the form of most values.
    """
    words = [word.lower() for word in _WORD.findall(name)]
    if _NAME_WORDS & set(words) or _NAME_PAIRS & set(itertools.pairwise(words)):
        return "names"
    for word in words:
        if word in _PERSONAL_WORDS:
            return _PERSONAL_WORDS[word]
    different = list(texts)
    for what, form in _FORMS:
        if sum(1 for text in different if form.fullmatch(text)) > _SHARE * len(different):
            return what
    alike = sum(1 for text in different if _is_name(text)) if len(different) > _FEW else 0
    return "names" if alike and alike >= _NAME_SHARE * len(different) else None


def _is_name(text: str) -> bool:
    return bool(_PERSON.fullmatch(text)) and text.istitle()


def hash_category(category: str, key: bytes) -> str:
    """`h:` and the first 64 bits of HMAC-SHA256(key, the category in UTF-8) in hex.

    `category` is in canonical form (`bins.canonical`). An empty key is allowed, and protects nothing that can be
    guessed: whoever has a list of candidates can hash them too.
    """
    digest = hmac.new(key, category.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
    return _PREFIX + digest[:_DIGITS]


class Hasher:
    """`hash_category` with one key; remembers the last few thousand, for the same categories come over and over."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self._known: dict[str, str] = {}

    def __call__(self, category: str) -> str:
        """The hash of a category in canonical form."""
        found = self._known.get(category)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[category] = hash_category(category, self.key)
        return found


def key_id(key: bytes) -> str:
    """Eight hex digits by which a key is told from another without being known."""
    return hmac.new(key, b"modeltap key id", hashlib.sha256).hexdigest()[:8]
