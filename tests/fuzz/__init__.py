"""Hostile and random input: the followers' laws under a fuzzer, other parsers beside them, a hostile byte's cost."""
