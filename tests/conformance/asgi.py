"""The application that every real server has, and a process that serves it with uvicorn.

Run as a file it imports nothing of this repository: `asgi.py FD h11|httptools` serves on the listening socket FD.
"""

import socket
import sys
from collections.abc import Iterable

PIECES = [b"one\n", b"two " * 500, b"\r\n0\r\n\r\n"]
LARGE = bytes(range(32, 127)) * 11_000
# path -> status, body; the request's body is not read
ANSWERS = {
    "/empty": (204, b""),
    "/same": (304, b""),
    "/reset": (205, b""),
    "/early": (413, b"too large\n"),
    "/fail": (500, b"failed\n"),
    "/large": (200, LARGE),
}


def echo(method: str, path: str, fields: Iterable[tuple[bytes, bytes]], body: bytes) -> bytes:
    """What the server understood, but for the field that the sidecar adds."""
    lines = [
        name.lower() + b": " + value.strip() for name, value in fields if name.lower() != b"x-request-id"
    ]
    return b"\n".join([f"{method} {path}".encode("latin-1", "replace"), *lines, b"", body])


async def application(scope, receive, send):  # type: ignore[no-untyped-def]
    """The ASGI form."""
    path, method = scope["path"], scope["method"]

    async def body():  # type: ignore[no-untyped-def]
        more = True
        while more:
            message = await receive()
            more = message.get("more_body", False)
            yield message.get("body", b"")

    async def start(status=200, *headers):  # type: ignore[no-untyped-def]
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})

    async def say(piece=b"", more=False):  # type: ignore[no-untyped-def]
        await send({"type": "http.response.body", "body": piece, "more_body": more})

    if path in ANSWERS:
        status, whole = ANSWERS[path]
        length = () if status in (204, 304) else ((b"content-length", str(len(whole)).encode()),)
        await start(status, *length)
        await say(b"" if method == "HEAD" else whole)
    elif path == "/stream":
        await start()
        for piece in PIECES:
            await say(piece, True)
        await say()
    elif path == "/duplex":
        await start()
        async for piece in body():
            if piece:
                await say(piece, True)
        await say()
    else:
        whole = echo(method, path, scope["headers"], b"".join([piece async for piece in body()]))
        await start(200, (b"content-length", str(len(whole)).encode()))
        await say(b"" if method == "HEAD" else whole)


def main(arguments: list[str]) -> None:
    """Serve until terminated."""
    import uvicorn

    fd, http = arguments
    config = uvicorn.Config(
        application, http=http, ws="none", lifespan="off", log_level="critical", loop="asyncio"
    )
    uvicorn.Server(config).run([socket.socket(fileno=int(fd))])


if __name__ == "__main__":
    main(sys.argv[1:])
