"""Settings: one table of them, and what reads, checks and reads again a configuration.

To add a setting: one row in `options.py`, one field in `config.py`, its reader in `values.py` if none fits.
"""
