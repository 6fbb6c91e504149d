"""The analysis: exchanges off the queue -> decoded, counted in windows, compared with the reference -> Samples.

To add a family: count it in `series.py` (per model version) and yield it in `report.py`, or yield it in `traffic.py`
(from the shared totals). Nothing here opens a socket or renders; the composition root wires it to both.
"""
