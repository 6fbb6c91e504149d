"""Grafana dashboards, written by `python -m dashboards.generate`; users import the JSON beside the code.

To add a dashboard: one file with a `build()` function, one line in `DASHBOARDS` of `generate.py`.
"""
