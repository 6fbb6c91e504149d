"""Tests of stores of pending predictions."""
