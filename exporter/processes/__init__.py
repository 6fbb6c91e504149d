"""What every process of the sidecar needs before anything slow is imported: sockets, signals, children, bounds, a log.

To add to it: one file, called where `app.py` or `children.py` starts a process. Nothing here knows models.
"""
