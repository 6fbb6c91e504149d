"""An upstream and a way to start sidecars in front of it; all of them end with the test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.app.command import Sidecar
from tests.app.upstream import Upstream

Start = Callable[..., Sidecar]


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """Answers at once."""
    with Upstream() as upstream:
        yield upstream


@pytest.fixture
def start(tmp_path: Path, upstream: Upstream) -> Iterator[Start]:
    """`start(*flags)`: a sidecar that listens."""
    with ExitStack() as stack:

        def start(*flags: str, **options: Any) -> Sidecar:
            folder = tmp_path / f"sidecar-{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            port = options.pop("upstream", upstream.port)
            sidecar = Sidecar(folder, port, flags, **options)
            stack.callback(sidecar.stop)
            # An orderly end is a test's business; at its end it would wait for an analysis that still starts.
            stack.callback(sidecar.kill)
            return sidecar.started()

        yield start
