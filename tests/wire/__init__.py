"""Tests of the followers."""
