"""What the first bytes of a connection say: HTTP/2 with prior knowledge, TLS, or (as far as can be told) HTTP/1."""

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def sniff(first: bytes) -> str | None:
    """ "h2c", "tls" or "http1"; None while there are too few bytes to tell (at most 24)."""
    if first[:1] == b"\x16":
        if len(first) < 3:
            return None
        return "tls" if first[1] == 3 and first[2] <= 4 else "http1"
    if first.startswith(PREFACE):
        return "h2c"
    return None if PREFACE.startswith(first) else "http1"
