"""profiles: what the reference of a model is, how it is made of rows in passes of constant memory, read and compared.

To add a part: one file that builds it, one key in `schema.py`, one line each in `build.py` and `codec.py`.
"""
