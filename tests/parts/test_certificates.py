"""certificates.py: when what the sidecar shows ends, told once per change, and counted from files that change."""

import logging
import shutil
from pathlib import Path

import pytest

from exporter.collect import Unavailable
from exporter.parts.certificates import SOON_SECONDS, Certificates, Shown, shown
from exporter.parts.validity import validity
from exporter.settings.config import Config
from tests.proxy.secure import file

JANUARY, JANUARY_OVER = 1_577_836_800.0, 1_580_515_200.0  # 2020-01-01, 2020-02-01
MIDDLE = JANUARY + 10 * 86_400.0


def test_every_change_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not good yet, good, about to end, over, and healed by another file; the figure is the end throughout."""
    caplog.set_level(logging.INFO)
    place = tmp_path / "tls.pem"
    shutil.copy(file("expired.pem"), place)
    certificates = Certificates(lambda: iter((Shown("admin", "web.config: cert_file", str(place)),)))
    for now in (JANUARY - 1, MIDDLE, JANUARY_OVER - SOON_SECONDS + 1, JANUARY_OVER + 1):
        for again in range(3):
            (sample,) = certificates.collect(now + again)
            assert (sample.labels, sample.value) == (("admin",), JANUARY_OVER)
    shutil.copy(file("server.pem"), place)
    (sample,) = certificates.collect(JANUARY_OVER + 4)
    good = validity(str(place))
    assert good is not None and sample.value == good.end
    # Issued after January of 2020.
    list(certificates.collect(good.start + 1))
    head = f"web.config: cert_file {place}: "
    tail = "; it serves on, but peers that check it refuse"
    assert [(record.levelname, record.message.split(" 2")[0]) for record in caplog.records] == [
        ("ERROR", f"{head}not valid before"),
        ("INFO", f"{head}valid until"),
        ("WARNING", f"{head}expires at"),
        ("ERROR", f"{head}expired at"),
        ("ERROR", f"{head}not valid before"),
        ("INFO", f"{head}valid until"),
    ]
    assert caplog.records[3].message == f"{head}expired at 2020-02-01 00:00:00 UTC{tail}"


def test_files_that_tell_nothing(tmp_path: Path) -> None:
    """A file that vanished has no series; without any certificate there is nothing to collect."""
    files = [
        Shown("listener", "--tls-cert", str(tmp_path / "none")),
        Shown("upstream", "", file("server.pem")),
    ]
    assert [sample.labels for sample in Certificates(lambda: iter(files)).collect(MIDDLE)] == [("upstream",)]
    with pytest.raises(Unavailable):
        list(Certificates(lambda: iter(())).collect(MIDDLE))


def test_those_of_a_configuration() -> None:
    """Only what is set."""
    config = Config(upstream="http://a", tls_cert="l.pem", tls_key="l.key")
    assert [one.use for one in shown(config)] == ["listener"]
    assert [one.file for one in shown(config, "w.pem")] == ["l.pem", "w.pem"]
