"""The soak: real processes, mixed traffic and random faults, for as long as one likes; then everything must add up.

To add a kind of traffic: a coroutine in `kinds.py`, `streams.py` or `faulty.py` and a line in its tuple. To add a
fault: a coroutine in `faults.py` and a line in its tuple.
"""
