"""The one certificate that all peers show: made for a run, ECDSA on P-256, itself its authority."""

import subprocess
from pathlib import Path

from bench.errors import SetupError
from bench.peer import Program

OPENSSL = Program(
    path="openssl", version=("openssl", "version"), install="apt-get install openssl", debian=True
)
SECONDS = 30.0


def make(folder: Path) -> Path:
    """One PEM file with certificate and key, as HAProxy wants it and all others take it.

    Raises SetupError when openssl fails.
    """
    key, certificate, both = (folder / f"tls.{name}" for name in ("key", "crt", "pem"))
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=bench.local", "-addext", "subjectAltName=DNS:bench.local,IP:127.0.0.1"]
    command += ["-days", "2", "-keyout", str(key), "-out", str(certificate)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        told = getattr(error, "stderr", None) or error
        raise SetupError(f"openssl made no certificate: {told}") from error
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    both.chmod(0o600)
    return both
