"""Tests of exporter/decode."""
