"""Somebody else's command as a child: started, watched, signalled, its output copied and its end explained.

To add to it: a file for each thing that is known of a child; what is counted goes to `records/model_process.py`.
"""
