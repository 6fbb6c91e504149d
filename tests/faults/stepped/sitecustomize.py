"""Put first on the module path, this makes the wall clock of a Python process what a test wants it to be.

The offset in seconds is a double in the file STEPPED_BY, read at every call. The monotonic clock is left alone, as it
is by whoever sets a machine's time.
"""

import mmap
import os
import struct
import time

_page = mmap.mmap(os.open(os.environ["STEPPED_BY"], os.O_RDONLY), 8, access=mmap.ACCESS_READ)
_time, _time_ns = time.time, time.time_ns


def _offset() -> float:
    found: float = struct.unpack("d", _page[:8])[0]
    return found


time.time = lambda: _time() + _offset()
time.time_ns = lambda: _time_ns() + int(_offset()) * 1_000_000_000
