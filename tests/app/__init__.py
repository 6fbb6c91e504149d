"""The process tree: the real command, real signals, a tiny upstream."""
