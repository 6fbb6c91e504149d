"""Load generators: wrk for many connections, raw sockets of our own where microseconds or megabytes count.

Both run on the load core and send the bytes of `bench/traffic.py`. They raise MeasureError when an answer is
not the expected one.
"""
