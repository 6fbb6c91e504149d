"""The benchmark: what the sidecar costs beside the proxies that people know, in one run on one machine.

To add a peer: one file in `peers/` and one line in `PEERS`; a scenario: one file in `scenarios/` and one
line in `SCENARIOS`. Nothing here is imported by `exporter`, and no figure made here is asserted in a test.
"""
