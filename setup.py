"""Compiles the data plane with mypyc where a C compiler is at hand; without one the same files run as they are.

MODELTAP_COMPILE=1 makes a failure an error, 0 switches it off. An editable installation is never compiled: an
extension beside its source would hide every later change to it.
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup

# What runs for every byte of traffic. Everything else gains nothing from it.
HOT = (
    *("wire/events", "wire/head", "wire/http1", "wire/sniff", "wire/sse", "records/queue"),
    *(
        "records/totals",
        "proxy/admission",
        "proxy/bounded",
        "proxy/capture",
        "proxy/deadlines",
        "proxy/edits",
    ),
    *("proxy/labels", "proxy/live", "proxy/stream", "proxy/usage", "proxy/hidden"),
    *(
        "proxy/pair",
        "proxy/plane",
        "proxy/refusals",
        "proxy/sides",
        "proxy/sockets",
        "proxy/tap",
        "proxy/trace",
    ),
)


def extensions() -> list[Extension]:
    """The compiled modules, or none."""
    wanted = os.environ.get("MODELTAP_COMPILE", "auto")
    if wanted == "0" or "editable_wheel" in sys.argv or "develop" in sys.argv:
        return []
    os.chdir(Path(__file__).resolve().parent)
    files = [f"exporter/{name}.py" for name in HOT]
    try:
        from mypyc.build import mypycify

        found = mypycify(["--ignore-missing-imports", *files], opt_level="3", debug_level="0")
    except (ImportError, SystemExit) as error:
        if wanted == "1":
            raise
        print(f"modeltap: not compiled ({error}); the data plane runs as plain Python", file=sys.stderr)
        return []
    for extension in found:
        extension.optional = wanted != "1"
    return found


setup(ext_modules=extensions())
