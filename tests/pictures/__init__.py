"""`python -m tests.pictures`: dashboards drawn from live data by Grafana's own panels; Grafana's lists and types.

By hand (`make pictures`): it installs 450 MB of npm packages below `.venv` and draws in Chromium. No test needs it.
"""
