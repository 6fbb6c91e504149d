"""`python -m tests.licences`: the licences of all that `pip install modeltap` brings along, extras included.

From the installed packages' own metadata. Exit status 1 if one has a licence that is not allowed, or tells none.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.markers import default_environment
from packaging.requirements import Requirement

# Permissive ones, and MPL-2.0, whose copyleft ends at its own files.
ALLOWED = frozenset(
    {
        *("MIT", "MIT-0", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC", "0BSD", "Zlib", "PSF-2.0"),
        *("MPL-2.0", "Unlicense", "CC0-1.0", "BSL-1.0", "MIT-CMU"),
    }
)
# What older packages write -> SPDX. No more than "BSD" is taken for the three clauses.
_KNOWN = {
    "mit license": "MIT",
    "mit": "MIT",
    "apache software license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "bsd license": "BSD-3-Clause",
    "bsd": "BSD-3-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "isc license (iscl)": "ISC",
    "python software foundation license": "PSF-2.0",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "the unlicense (unlicense)": "Unlicense",
}
# Not part of what a sidecar runs with: its demo, and what the tests need.
LEFT_OUT = frozenset({"demo"})


def runtime(name: str = "modeltap") -> dict[str, Distribution]:
    """The installed packages that it requires, directly or not, by lower-case name; itself left out."""
    root = distribution(name)
    extras = set(root.metadata.get_all("Provides-Extra") or ()) - LEFT_OUT
    found: dict[str, Distribution] = {}
    waiting = [(root, extras)]
    while waiting:
        one, wanted = waiting.pop()
        for requirement in _required(one, wanted):
            key = re.sub(r"[-_.]+", "-", requirement.name).lower()
            if key in found or key == name:
                continue
            try:
                found[key] = distribution(requirement.name)
            except PackageNotFoundError:
                continue  # an extra that is not installed here
            waiting.append((found[key], requirement.extras))
    return found


def _required(one: Distribution, extras: set[str]) -> Iterator[Requirement]:
    environment = {key: str(value) for key, value in default_environment().items()}
    for line in one.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or any(
            requirement.marker.evaluate(environment | {"extra": extra}) for extra in ("", *extras)
        ):
            yield requirement


def licences(one: Distribution) -> frozenset[str]:
    """Of which each must be allowed; words that are no licence we know are returned as they are."""
    told = one.metadata.get("License-Expression")
    if told:
        return _alternatives(told)
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in one.metadata.get_all("Classifier") or ()
        if line.startswith("License :: ") and line != "License :: OSI Approved"
    ]
    texts = classifiers or [(one.metadata.get("License") or "").strip().partition("\n")[0]]
    return frozenset(found for text in texts for found in _alternatives(_KNOWN.get(text.lower(), text)))


def _alternatives(expression: str) -> frozenset[str]:
    """Of `A OR B` the allowed one will do; of `A AND B` both must be."""
    needed = set()
    for part in re.split(r"\s+AND\s+", expression.replace("(", "").replace(")", "")):
        choices = [_KNOWN.get(word.lower(), word) for word in re.split(r"\s+OR\s+", part)]
        needed.add(next((word for word in choices if word in ALLOWED), choices[0]))
    return frozenset(needed)


def main() -> int:
    """Print the list; the exit status."""
    status = 0
    for name, one in sorted(runtime().items()):
        found = licences(one)
        wrong = found - ALLOWED
        print(
            f"{name:45}{one.version:15}{', '.join(sorted(found)) or 'none told'}{'  NOT ALLOWED' if wrong else ''}"
        )
        status |= bool(wrong) or not found
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
