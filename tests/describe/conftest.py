"""Generated examples are the same in every run, and no test is judged by the clock."""

from hypothesis import settings

settings.register_profile("modeltap", derandomize=True, deadline=None)
settings.load_profile("modeltap")
