"""When it is started again."""

import pytest

from exporter.supervise.policy import FIRST_DELAY, HEALTHY_SECONDS, POLICIES, Policy


@pytest.mark.parametrize("when", POLICIES)
@pytest.mark.parametrize("failed", [False, True])
def test_policies(when: str, failed: bool) -> None:
    """never, on-failure and always mean what they say."""
    again = Policy(when).delay(1.0, failed) is not None
    assert again is (when == "always" or (when == "on-failure" and failed))


def test_back_off() -> None:
    """Delays double up to the longest, and begin anew after a healthy life."""
    policy = Policy("always", longest=1.0)
    assert [policy.delay(0, True) for _ in range(6)] == [FIRST_DELAY, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert policy.delay(HEALTHY_SECONDS + 1, True) == FIRST_DELAY
    assert Policy("always", longest=0.0).delay(0, True) == 0.0


def test_a_limit() -> None:
    """So many in a row and no more; a healthy life gives all of them back."""
    policy = Policy("on-failure", most=2)
    assert [policy.delay(0, True) is None for _ in range(3)] == [False, False, True]
    assert policy.delay(HEALTHY_SECONDS + 1, True) == FIRST_DELAY
    assert [policy.delay(0, True) is None for _ in range(2)] == [False, True]
