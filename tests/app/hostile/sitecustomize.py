"""Put on the path of a sidecar under test: its analysis gets one more dialect, whose decoder never does what it should.

A site customization runs before anything else in every process of the sidecar; only the analysis is changed.
"""

import sys

if "analysis" in sys.orig_argv:
    import hostile_dialect

    from exporter import decode

    decode.DIALECTS = (hostile_dialect, *decode.DIALECTS)  # type: ignore[arg-type,misc]
