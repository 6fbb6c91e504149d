"""Tests, in a tree that mirrors the package."""
