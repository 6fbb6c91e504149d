"""The rules of expected performance hold what the sidecar holds; their figures are in expected_test.yaml."""

from alert_rules import values
from alert_rules.expected import LEAST_TEST_ROWS
from exporter.stats.performance import expected, figures


def test_limits_are_the_sidecars() -> None:
    """Rows and shares from which something is expected, by default."""
    assert LEAST_TEST_ROWS == expected.LEAST_TEST_ROWS
    assert values.EXPECTED_UNKNOWN == expected.MOST_UNKNOWN
    assert (values.MIN_LABELLED, values.MIN_POSITIVES) == (figures.LEAST_ROWS, figures.LEAST_POSITIVES)
