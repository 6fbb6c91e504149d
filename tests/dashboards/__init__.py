"""Tests of dashboards/: the linter's rules, the catalogue, what Prometheus takes."""
