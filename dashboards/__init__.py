"""Grafana dashboards, written by `python -m dashboards.generate`; users import the JSON beside the code.

To add a row: one file with `panels()`, one line in `boards.py`. To add a dashboard: a function and a line there.
"""
