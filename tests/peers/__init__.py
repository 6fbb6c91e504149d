"""Checks against peers too large for every run of the tests: `make peers`. Their files are no test_*.py on purpose."""
