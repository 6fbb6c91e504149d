"""What a model is, as training or its server wrote it: bytes -> Description; nothing of a model is ever executed.

To add a format: one file with `NAMES` and `read(stream)`, one line in FORMATS, one folder of evidence in tests/vectors.
"""

from fnmatch import fnmatchcase
from types import ModuleType
from typing import BinaryIO, Final

from exporter.describe import huggingface, mlmodel, mlserver, onnx, own, triton
from exporter.describe.compared import Difference, differences
from exporter.describe.description import SECTIONS, VERSION, Description, describe, digest
from exporter.describe.estimator import of_estimator
from exporter.describe.files import File
from exporter.describe.own import text
from exporter.records.problems import Problems

__all__ = [
    "FORMATS",
    "SECTIONS",
    "VERSION",
    "Description",
    "Difference",
    "File",
    "describe",
    "differences",
    "digest",
    "format_of",
    "of_estimator",
    "read",
    "text",
]

# In the order in which a folder is searched: what its owner wrote for us says most.
FORMATS: Final[tuple[ModuleType, ...]] = (own, mlmodel, mlserver, triton, huggingface, onnx)
_EXECUTES: Final = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".h5", ".keras", ".sav")


def format_of(name: str) -> ModuleType | None:
    """Of a file by its name; None for one that no format claims."""
    return next((one for one in FORMATS if any(fnmatchcase(name, pattern) for pattern in one.NAMES)), None)


def read(name: str, stream: BinaryIO) -> Description:
    """What a file of that name says. Problems with all that is wrong."""
    chosen = format_of(name)
    if chosen is not None:
        found: Description = chosen.read(stream)
        return found
    if name.endswith(_EXECUTES):
        raise Problems([": loading it could execute code; describe the model where it is trained instead"])
    patterns = ", ".join(pattern for one in FORMATS for pattern in one.NAMES)
    raise Problems([f": nothing is known of such a file; expected {patterns}"])
