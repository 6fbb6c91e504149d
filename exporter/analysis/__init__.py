"""The analysis: takes exchanges off the queue, decodes them, feeds windows, compares with the reference, yields Samples.

To add a family: compute it in `series.py` (per model version) or `traffic.py` (from the shared totals) and yield it
in that file's samples. Nothing here opens a socket or renders; the composition root wires it to both.
"""
