"""Predictions that wait for their labels, in memory, SQLite, Redis or a signed receipt, behind one contract.

To add a store: one file whose class is a `Store`, one line in `open_store`, one line in tests/pending/stores.py.
"""
