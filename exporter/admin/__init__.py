"""The admin side as a server: who may read and write, within which bounds; knows nothing of what is on its pages.

To add a page: a file in `parts/` that makes a JsonPage, one line where `telemetry.py` names the routes.
"""
