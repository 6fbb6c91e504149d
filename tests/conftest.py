"""What holds for all tests: generated examples are the same in each run, and a busy machine fails none of them."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "modeltap", derandomize=True, deadline=None, suppress_health_check=(HealthCheck.too_slow,)
)
settings.load_profile("modeltap")
