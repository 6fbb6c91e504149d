"""Put on the path of a sidecar under test: each file that one of its processes opens for writing is told in the log."""

import os
import sys

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_KERNEL = ("/proc/", "/sys/", "/dev/")


def _told(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        path, mode, flags = arguments
        named = isinstance(path, str | bytes) and not os.fsdecode(path).startswith(_KERNEL)
        if named and (set(mode) & set("wxa+") if isinstance(mode, str) else flags & _WRITING):
            os.write(2, f"WROTE {path!r}\n".encode())
    elif event in ("os.mkdir", "os.rename", "os.link", "os.symlink"):
        os.write(2, f"WROTE {arguments!r}\n".encode())


sys.addaudithook(_told)
