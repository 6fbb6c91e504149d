"""Tests of exporter/collect."""
