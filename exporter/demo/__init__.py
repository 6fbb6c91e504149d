"""The demo: a real model on real data behind the sidecar, with traffic that drifts, slows down and fails.

To change what happens, edit the phases in `traffic.py`; to change what is shown, `frame.py` (numbers) and
`view.py`.
"""
