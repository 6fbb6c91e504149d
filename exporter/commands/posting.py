"""How commands speak to a running sidecar's admin side: the flags that say where it is, the token, TLS."""

import argparse
import os
import ssl

from exporter.admin.door import MAX_TOKEN, token_of


def add_place(parser: argparse.ArgumentParser) -> None:
    """The flags."""
    add = parser.add_argument
    add("--admin", metavar="HOST:PORT", help="the sidecar's admin port (default: as `run` would have it)")
    add("--config", metavar="FILE", help="YAML file of the sidecar's settings, if they tell the port")
    add("--token-file", metavar="FILE", help="the sidecar's --write-token-file, where it has one")
    add("--ca", metavar="FILE", help="authorities of the admin side's certificate (PEM), where it speaks TLS")
    add("--cert", metavar="FILE", help="certificate and key to show it (PEM)")


def headers(args: argparse.Namespace) -> dict[str, str]:
    """The fields of a request, the token among them. Raises ValueError for a file that holds none."""
    found = {"Content-Type": "application/json"}
    file = args.token_file or os.environ.get("MODELTAP_WRITE_TOKEN_FILE")
    if file:
        with open(file, "rb") as stream:
            try:
                found["X-Modeltap-Token"] = token_of(stream.read(MAX_TOKEN + 1)).decode()
            except ValueError as error:
                raise ValueError(f"--token-file {file}: {error}") from None
    return found


def tls(args: argparse.Namespace) -> ssl.SSLContext | None:
    """What the admin side is spoken to with; None for plain HTTP."""
    if not args.ca:
        if args.cert:
            raise ValueError(f"--cert {args.cert}: expected --ca too, the authorities of the admin side")
        return None
    try:
        context = ssl.create_default_context(cafile=args.ca)
        if args.cert:
            context.load_cert_chain(args.cert)
    except OSError as error:
        names = " and ".join(file for file in (args.ca, args.cert) if file)
        raise ValueError(f"{names}: {error.strerror or error}; expected PEM files") from None
    return context
