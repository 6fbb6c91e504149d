"""validity.py: from when until when certificates are good, and files that do not tell."""

from pathlib import Path

import pytest

from exporter.parts.validity import Validity, validity
from tests.proxy.secure import file

JANUARY, JANUARY_OVER = 1_577_836_800.0, 1_580_515_200.0  # 2020-01-01, 2020-02-01


def test_ends_of_certificates() -> None:
    """In both forms of time: of this half of the century, and from 2050 on."""
    assert validity(file("expired.pem")) == Validity(JANUARY, JANUARY_OVER)
    far = validity(file("server.pem"))
    assert far is not None
    assert far.end > 90 * 365 * 86_400 > far.start


@pytest.mark.parametrize("name", ["server.key", "none.pem"])
def test_files_without_a_certificate(name: str) -> None:
    """A key, and no file at all."""
    assert validity(file(name)) is None


def test_any_part_of_a_certificate(tmp_path: Path) -> None:
    """Cut or changed anywhere it is a time or nothing, and no error."""
    whole = Path(file("expired.pem")).read_bytes()
    place = tmp_path / "odd.pem"
    for cut in range(0, len(whole), 7):
        for odd in (whole[:cut], whole[:cut] + b"A" + whole[cut + 1 :], whole[:cut] + whole[cut + 4 :]):
            place.write_bytes(odd)
            assert isinstance(validity(str(place)), Validity | None)
