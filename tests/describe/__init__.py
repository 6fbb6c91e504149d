"""Tests of exporter/describe."""
