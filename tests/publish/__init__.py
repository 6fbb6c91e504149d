"""Tests of `exporter/publish`; `everything.py` is the sample set of the golden scrape, `exchanges.py` the exchanges."""
