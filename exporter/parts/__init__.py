"""Several rooms put together, a file for each thing that the analysis process does: labels, descriptions, pages, logs.

To add a part: one file that takes the Config and what it stands on, one line where `telemetry.py` puts it in.
"""
