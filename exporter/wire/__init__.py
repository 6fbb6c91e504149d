"""Bytes to events: incremental followers that never see a socket, a clock or another room.

To add a protocol: one file with a follower whose `feed(data)` returns events of `events.py`, and vectors in
`tests/vectors/<protocol>/`; every vector runs whole, byte by byte, cut at random, and with trailing bytes.
"""
