"""performance: predictions wait, labels arrive, and each model version's outcome is counted by arrival and by cohort.

To add a kind of output that labels can judge: one branch in `judged.py`, one tally in `scored.py`, one table of truth.
"""
