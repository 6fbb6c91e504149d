"""Tests of the benchmark: its parsing, its arithmetic, its framing; never a speed."""
