"""places.py: from settings to places, with the TLS of the upstream where it is the upstream's."""

import ssl
from typing import Any

import pytest

from exporter.collect import Place
from exporter.collect.upstream import TEXT_FIRST, scrape
from exporter.parts.places import PATHS, PORTS, own_metrics
from exporter.settings.config import Config, ConfigError, load
from tests.collect.test_upstream import http, server
from tests.proxy.secure import file, presenting

HERE = ("127.0.0.1", 8000)


def told(metrics: str, upstream: str = "http://127.0.0.1:8000", **more: Any) -> tuple[Place, ...]:
    found = own_metrics(Config(upstream=upstream, upstream_metrics=metrics, **more))
    assert found.configured
    return found.places


def looked_for(upstream: str) -> list[str]:
    found = own_metrics(Config(upstream=upstream))
    assert not found.configured
    return [str(place) for place in found.places]


@pytest.mark.parametrize(
    ("metrics", "place"),
    [
        ("/m?a=b", Place(HERE, "/m?a=b")),
        (":8002", Place(("127.0.0.1", 8002))),
        (":8002/m?a=b", Place(("127.0.0.1", 8002), "/m?a=b")),
        ("http://other", Place(("other", 80))),
        ("http://[::1]:9/m", Place(("::1", 9), "/m")),
    ],
)
def test_told(metrics: str, place: Place) -> None:
    """A path, a port or a URL is the only place."""
    assert told(metrics) == (place,)


def test_told_of_other_upstreams() -> None:
    """A path goes the upstream's way; a port is at its host."""
    assert told("/m", "unix:/run/s") == (Place("/run/s", "/m"),)
    assert told(":8002", "unix:/run/s") == (Place(("127.0.0.1", 8002)),)
    assert told(":8002", "http://[::1]:80") == (Place(("::1", 8002)),)
    (tls,) = told("/m", "https://model:8443", upstream_name="inner")
    assert (tls.address, tls.server_name, str(tls)) == (("model", 8443), "inner", "https://model:8443/m")
    (other,) = told("https://elsewhere/m", "https://model", upstream_name="inner")
    assert (other.address, other.server_name) == (("elsewhere", 443), "")


def test_looked_for() -> None:
    """The usual paths at the upstream; ports of their own only on this host, and not the upstream's own."""
    paths = [f"http://127.0.0.1:8000{path}" for path in PATHS]
    ports = [f"http://127.0.0.1:{port}/metrics" for port in PORTS]
    assert looked_for("http://127.0.0.1:8000") == paths + ports
    assert looked_for("http://127.0.0.1:8002")[3:] == ports[1:]
    assert looked_for("http://model") == [f"http://model:80{path}" for path in PATHS]
    assert looked_for("unix:/run/s") == [f"unix:/run/s {path}" for path in PATHS] + ports
    assert looked_for("tcp://127.0.0.1:8001") == ports
    assert looked_for("tcp://model:8001") == []


def test_off() -> None:
    """Nothing is read."""
    assert own_metrics(Config(upstream="http://a", upstream_metrics="off")).places == ()


async def test_the_upstreams_own_tls() -> None:
    """Metrics are fetched with the settings that the data plane dials with; unreadable files are a refusal."""
    async with server(lambda head: http(b"a 1\n"), tls=presenting()) as (address, _):
        upstream = f"https://127.0.0.1:{address[1]}"
        (place,) = told("/metrics", upstream, upstream_ca=file("ca.pem"), upstream_name="model")
        assert (await scrape(place, TEXT_FIRST, 5.0)).body == b"a 1\n"
        (unverified,) = told("/metrics", upstream, upstream_verify=False)
        assert (await scrape(unverified, TEXT_FIRST, 5.0)).body == b"a 1\n"
    (broken,) = told("/metrics", "https://127.0.0.1", upstream_ca="/nowhere.pem")
    assert broken.tls is not None
    with pytest.raises(OSError, match=r"--upstream-ca /nowhere\.pem: cannot be read"):
        broken.tls()
    (mutual,) = told(
        "/metrics", "https://127.0.0.1", upstream_cert=file("client.pem"), upstream_key=file("client.key")
    )
    assert mutual.tls is not None
    assert isinstance(mutual.tls(), ssl.SSLContext)
    assert mutual.tls() is mutual.tls()


@pytest.mark.parametrize(
    "value",
    [
        "metrics",
        "on",
        ":",
        ":0",
        ":x",
        ":8002 /m",
        "ftp://a",
        "http://",
        "http://a@b",
        "http://a/#b",
        "/ä",
        "http://a:",
        "//a",
    ],
)
def test_what_is_no_place_is_refused(value: str) -> None:
    """The message says what was expected."""
    with pytest.raises(ConfigError, match="expected off, /PATH, :PORT"):
        load({"upstream": "http://a", "upstream_metrics": value}, {})
