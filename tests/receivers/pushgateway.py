"""A real Pushgateway of Debian's, for as long as it is needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.processes import LOOPBACK, Program, free_ports, running
from tests.environments.single import single


@contextmanager
def gateway_in(folder: Path) -> Iterator[str]:
    """Its address, once it is ready."""
    (port,) = free_ports(1)
    url = f"http://{LOOPBACK}:{port}"
    command = [single("pushgateway"), f"--web.listen-address={LOOPBACK}:{port}"]
    with running(Program("pushgateway", command, folder, {}), f"{url}/-/ready"):
        yield url
