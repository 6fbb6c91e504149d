"""The access log as the configuration makes it."""

import json
import os
from pathlib import Path

import pytest

from exporter.parts.access import access_log
from exporter.settings.config import Config, ConfigError, load, proxy_settings
from tests.publish.exchanges import EXCHANGE

UPSTREAM = "http://127.0.0.1:1"


def test_off_by_default() -> None:
    """Without a place there is none, and the data plane hands over what it did before."""
    config = Config(upstream=UPSTREAM)
    assert access_log(config, 0.0) is None
    assert not proxy_settings(config).every_exchange
    assert proxy_settings(Config(upstream=UPSTREAM, access_log="-")).every_exchange


@pytest.mark.parametrize("place", ["-", "file"])
def test_where_lines_go(tmp_path: Path, place: str) -> None:
    """To standard output, here a pipe, or to the file."""
    reading, writing = os.pipe()
    target = place if place == "-" else str(tmp_path / place)
    log = access_log(Config(upstream=UPSTREAM, access_log=target), 0.0, writing)
    assert log is not None
    log.start()
    log.offer(EXCHANGE)
    assert log.stop(30.0)
    data = os.read(reading, 4096) if place == "-" else (tmp_path / place).read_bytes()
    assert json.loads(data)["model_name"] == "iris"
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("value", ["access.log", "/var/log/", "/a\nb", "STDOUT"])
def test_places_that_are_none(value: object) -> None:
    """A relative path would be another one for whoever starts the sidecar elsewhere."""
    with pytest.raises(ConfigError, match=r"--access-log: .*: expected the absolute path of a file, or - "):
        load({"upstream": UPSTREAM, "access_log": value}, {})
