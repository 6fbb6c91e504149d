"""Tests of exporter/supervise."""
