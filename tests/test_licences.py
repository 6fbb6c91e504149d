"""The licences of what a sidecar runs with."""

from email.message import Message

import pytest

from tests import licences


def test_all_that_is_installed_may_be_used() -> None:
    """Each package tells a licence, and one that is allowed; the walk finds what we know to be there."""
    found = licences.runtime()
    assert {"aiohttp", "numpy", "grpcio", "uvloop", "psutil"} <= set(found)
    assert "scikit-learn" not in found
    told = {name: licences.licences(one) for name, one in found.items()}
    assert {name: words for name, words in told.items() if not words or words - licences.ALLOWED} == {}


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"License-Expression": "Apache-2.0 AND MIT"}, {"Apache-2.0", "MIT"}),
        ({"License-Expression": "GPL-3.0-only OR MIT"}, {"MIT"}),
        ({"License-Expression": "GPL-3.0-only"}, {"GPL-3.0-only"}),
        ({"Classifier": "License :: OSI Approved :: BSD License", "License": "anything"}, {"BSD-3-Clause"}),
        ({"License": "MIT\nCopyright"}, {"MIT"}),
        ({"License": "Ask us"}, {"Ask us"}),
    ],
)
def test_what_packages_write(fields: dict[str, str], wanted: set[str]) -> None:
    """Expressions, classifiers, free text; unknown words stay what they are and are not allowed."""

    class Package:
        metadata = Message()

    for key, value in fields.items():
        Package.metadata[key] = value
    assert licences.licences(Package()) == wanted  # type: ignore[arg-type]
