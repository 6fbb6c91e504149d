"""Alert and recording rules, written by `python -m alert_rules.generate`; users load the YAML beside it.

To add an alert: one `Alert` in the file of its concern, one section in RUNBOOK.md, one file in
tests/alert_rules.
"""
