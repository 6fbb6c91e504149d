"""performance: rows with truth to sums that add up, and from those to figures with their intervals.

To add a figure: one function in the `*_figures` file of its kind, one oracle in the test of that file.
"""
