"""The two ways in which a benchmark run goes wrong; everything else is a defect of the benchmark itself."""


class MeasureError(Exception):
    """A measurement cannot stand: the figure of this round is invalid, the run goes on."""


class SetupError(Exception):
    """The run cannot start: what is missing or wrong, and how to get it. Exit status 2."""
