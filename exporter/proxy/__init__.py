"""The data plane: listeners, connection pairs, flow control, admission, and the tap that turns events into exchanges.

To add an edit of heads: `edits.py`. To follow another protocol: a follower in `wire/` and a case in `pair.py`.
Connection pairs are callbacks, not tasks; whatever fails in the tap turns the connection into an opaque relay.
"""
