"""One GET of the upstream's own metrics, within a bound of time and of size. Knows no metric.

It goes to the upstream itself, not through the proxy: it is no traffic. A redirect is followed to the same origin only
(servers that mount /metrics send to /metrics/). Whatever is not an answer is a Refused with its reason.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
from yarl import URL

from exporter import __version__
from exporter.collect.contract import Place
from exporter.records.sample import Sample

TEXT_FIRST = (
    "text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1"
)
# Without `escaping` prometheus_client takes the colon out of vLLM's and SGLang's names.
OPENMETRICS_FIRST = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
MAX_BYTES = 8 << 20  # before and after decompression
_REDIRECTS = 2
_MOVED = (301, 302, 303, 307, 308)
_ABSENT = (404, 405, 410, 501)
_GZIP = 16 + zlib.MAX_WBITS
SCRAPED = "scraped"
# What can become of a scrape; the order is that of the series.
OUTCOMES: Final = (
    *(SCRAPED, "absent", "unreachable", "timeout", "status", "redirect", "too_large", "encoding"),
    *("malformed", "not_metrics", "busy"),
)


class Refused(Exception):
    """There are no metrics to be had; `reason` is one of OUTCOMES."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Scraped:
    """The body, decompressed, and its Content-Type."""

    body: bytes
    content_type: str


class Outcomes:
    """How often a scrape for one purpose came to which end; all ends exist at 0 from the start."""

    def __init__(self, purpose: str, created: float) -> None:
        self._purpose = purpose
        self._created = created
        self._counts = dict.fromkeys(OUTCOMES, 0)

    def count(self, outcome: str) -> None:
        """One more."""
        self._counts[outcome] += 1

    def samples(self) -> Iterator[Sample]:
        """From any thread."""
        for outcome, count in self._counts.items():
            yield Sample("modeltap.upstream.scrapes", (self._purpose, outcome), count, self._created)


async def scrape(place: Place, accept: str, seconds: float) -> Scraped:
    """The metrics of that place, in `seconds` at most. Refused for anything but an answer 200."""
    headers = {
        "Accept": accept,
        "Accept-Encoding": "gzip",
        "User-Agent": f"modeltap/{__version__}",
        "X-Prometheus-Scrape-Timeout-Seconds": f"{seconds:.3f}",
    }
    try:
        async with asyncio.timeout(seconds), _session(place, headers) as session:
            body, encoding, content_type = await _get(session, place)
            if encoding:
                body = await asyncio.to_thread(_unpacked, body, encoding)
            return Scraped(body, content_type)
    except TimeoutError:
        raise Refused("timeout", f"{place}: no whole answer within {seconds:.3g} s") from None
    except (OSError, aiohttp.ClientError, ValueError) as error:
        # ValueError: a host name that cannot be encoded, an answer that is no HTTP.
        raise Refused("unreachable", f"{place}: {error or type(error).__name__}") from error


@asynccontextmanager
async def _session(place: Place, headers: dict[str, str]) -> AsyncIterator[aiohttp.ClientSession]:
    connector: aiohttp.BaseConnector
    if isinstance(place.address, str):
        connector = aiohttp.UnixConnector(place.address, force_close=True)
    else:
        connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector, headers=headers, auto_decompress=False) as session:
        yield session


def _url(place: Place) -> URL:
    if isinstance(place.address, str):
        return URL(f"http://localhost{place.path}", encoded=True)
    return URL(str(place), encoded=True)


async def _get(session: aiohttp.ClientSession, place: Place) -> tuple[bytes, str, str]:
    """Body, content coding and content type."""
    url, tls = _url(place), place.tls() if place.tls is not None else True
    for _ in range(_REDIRECTS + 1):
        name = place.server_name or None
        async with session.get(url, allow_redirects=False, ssl=tls, server_hostname=name) as response:
            if response.status in _MOVED:
                url = _moved(place, url, response.headers.get("Location", ""))
                continue
            if response.status != 200:
                reason = "absent" if response.status in _ABSENT else "status"
                raise Refused(reason, f"{place}: status {response.status}, expected 200")
            coding = response.headers.get("Content-Encoding", "").strip().lower()
            coding = "" if coding == "identity" else coding
            return await _body(place, response), coding, response.headers.get("Content-Type", "")
    raise Refused("redirect", f"{place}: redirected more than {_REDIRECTS} times")


def _moved(place: Place, url: URL, location: str) -> URL:
    target = url.join(URL(location, encoded=True))
    if not location or target.origin() != url.origin():
        raise Refused("redirect", f"{place}: redirects to {location[:100]!r}, expected the same origin")
    return target


async def _body(place: Place, response: aiohttp.ClientResponse) -> bytes:
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_BYTES:
            raise Refused("too_large", f"{place}: more than {MAX_BYTES} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding not in ("gzip", "x-gzip"):
        raise Refused("encoding", f"content coding {encoding[:20]!r}, expected gzip or none")
    unpacker = zlib.decompressobj(_GZIP)
    try:
        found = unpacker.decompress(body, MAX_BYTES + 1)
    except zlib.error as error:
        raise Refused("encoding", f"no gzip: {error}") from error
    if len(found) > MAX_BYTES:
        raise Refused("too_large", f"more than {MAX_BYTES} bytes when unpacked")
    if not unpacker.eof or unpacker.unused_data:
        raise Refused("encoding", "gzip that was cut short, or has something behind it")
    return found
