"""What the kernel tells in /proc and /sys: small files, control groups, limits, kills; absence is never an error.

To add to it: one file that takes `Files`, so that a folder can stand for the machine; no library, no metric.
"""
