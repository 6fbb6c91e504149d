"""Tests of alert_rules/: promtool's unit tests, the runbook, routes of Alertmanager."""
