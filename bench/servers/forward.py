"""An aiohttp reverse proxy that only forwards: streamed both ways, one keep-alive session, on uvloop.

What a proxy costs that is put together from aiohttp's server and client, with nothing observed.
"""

import asyncio

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web
from multidict import CIMultiDict
from yarl import URL

from bench.servers import options

# RFC 9110, 7.6.1: fields of one connection, not of the message.
HOP_BY_HOP = ("Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Upgrade")
READ_BYTES = 256 * 1024


def forwardable(headers: CIMultiDict[str]) -> CIMultiDict[str]:
    """Without the fields of the connection; Content-Length and Transfer-Encoding stay as they came."""
    for name in HOP_BY_HOP:
        headers.popall(name, None)
    return headers


class Forward:
    """Sends every request to the upstream and streams its answer back."""

    __slots__ = ("base", "session")

    def __init__(self, session: ClientSession, port: int) -> None:
        self.session = session
        self.base = f"http://{options.LOOPBACK}:{port}"

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        async with self.session.request(
            request.method,
            URL(self.base + request.raw_path, encoded=True),
            headers=forwardable(request.headers.copy()),
            data=request.content if request.body_exists else None,
            allow_redirects=False,
        ) as answer:
            response = web.StreamResponse(
                status=answer.status, reason=answer.reason, headers=forwardable(answer.headers.copy())
            )
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response


async def main() -> None:
    arguments = options.ports("an aiohttp proxy that only forwards", upstream=True)
    session = ClientSession(
        connector=TCPConnector(limit=0),
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(total=None),
        auto_decompress=False,
        read_bufsize=READ_BYTES,
    )
    async with session:
        server = web.Server(Forward(session, arguments.upstream).handle, access_log=None)
        runner = web.ServerRunner(server)
        await runner.setup()
        await web.TCPSite(runner, options.LOOPBACK, arguments.listen).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    options.run(main())
