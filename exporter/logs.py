"""How every process of the sidecar logs: to standard error, in one form. No line per request anywhere."""

import logging

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure(level: str = "info") -> None:
    """Once per process; `level` as in the setting `log_level`."""
    logging.basicConfig(level=level.upper(), format=_FORMAT)
