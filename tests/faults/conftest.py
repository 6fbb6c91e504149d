"""The sidecars of the matrix live as long as the test run: most rows ask for the same few."""

from collections.abc import Iterator

import pytest

from tests.faults.place import Places


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """Started when they are first asked for, ended with the run."""
    places = Places(tmp_path_factory.mktemp("places"))
    yield places
    places.stop()
