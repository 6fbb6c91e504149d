"""Every format against its folder of evidence, and against what is none: one clear problem, never another exception."""

import json
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.describe import FORMATS, describe, format_of, read, text
from exporter.records.problems import Problems

VECTORS = Path(__file__).parents[1] / "vectors" / "description"
FILES = sorted(path for path in VECTORS.glob("*/*") if path.name != "expected.json")


def test_every_format_has_evidence() -> None:
    """A folder for each, a file that it claims in each."""
    named = {one.__name__.rpartition(".")[2] for one in FORMATS}
    assert {path.parent.name for path in FILES} == {"mlflow" if name == "mlmodel" else name for name in named}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_vectors(path: Path) -> None:
    """What is said of the real files, and that it reads the same once it was written in our own form."""
    with path.open("rb") as stream:
        found = read(path.name, stream)
    expected = json.loads((path.parent / "expected.json").read_text())
    assert {"source": found.source, "digest": found.digest, **found.document()} == expected
    again = read("modeltap.json", BytesIO(text(found).encode()))
    assert (again.digest, again.document()) == (found.digest, found.document())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_cut_short(path: Path) -> None:
    """Every beginning of a file is a description or a problem."""
    data = path.read_bytes()
    for end in range(0, len(data), max(1, len(data) // 60)):
        try:
            read(path.name, BytesIO(data[:end]))
        except Problems as error:
            assert all(problem[0] in ".:" for problem in error.problems)


NAMES = ("modeltap.json", "MLmodel", "config.json", "config.pbtxt", "model-settings.json", "x.onnx")


@given(st.sampled_from(NAMES), st.binary(max_size=200))
def test_any_bytes(name: str, data: bytes) -> None:
    """A description or Problems."""
    with suppress(Problems):
        read(name, BytesIO(data))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
KEYS = (
    *(
        "name",
        "version",
        "parameters",
        "inputs",
        "flavors",
        "signature",
        "metadata",
        "run_id",
        "architectures",
    ),
    *("_name_or_path", "dropout", "thresholds", "features", "hyperparameters", "extra", "implementation"),
)


@given(st.sampled_from(NAMES[:3] + NAMES[4:5]), st.dictionaries(st.sampled_from(KEYS), JSON))
def test_any_values(name: str, document: dict[str, object]) -> None:
    """Right keys with anything under them: a description or Problems."""
    with suppress(Problems):
        read(name, BytesIO(json.dumps(document).encode()))


@given(st.text(st.sampled_from("abc:{}[]<>\"'\\\n#,;01.-"), max_size=60))
def test_any_protobuf_text(found: str) -> None:
    """A description or Problems, at once."""
    with suppress(Problems):
        read("config.pbtxt", BytesIO(found.encode()))


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("model.joblib", b"\x80\x04", "could execute code"),
        ("model.pkl", b"", "could execute code"),
        ("weights.safetensors", b"", "nothing is known of such a file; expected modeltap.json"),
        ("config.json", b"{", ": line 1: Expecting property name enclosed in double quotes; expected JSON"),
        ("config.json", b"[1]", ": list, expected a mapping"),
        ("config.json", b"[" * 100_000, "expected JSON that is not nested without end"),
        ("config.json", b"\xff\xfe", ": byte 0: expected UTF-8"),
        ("config.json", b"{}" + b" " * (4 << 20), "more than 4194304 bytes"),
        ("MLmodel", b"a: [", "expected YAML"),
        ("MLmodel", b"!!python/object/apply:os.system [true]", "expected YAML"),
        ("MLmodel", b"flavors: {x: {}}\nmetadata:\n  " + BOMB.replace("\n", "\n  ").encode(), "20000 values"),
        ("config.pbtxt", b'name: "a\n', ": line 1: "),
        ("config.pbtxt", b'name: "a"\ninput {', ": line 2: '', expected more"),
        ("config.pbtxt", b"a { " * 40, "expected at most 16 levels"),
        ("x.onnx", b"", "no version or no graph, expected an ONNX model"),
        ("x.onnx", b"\x3a\xff\xff\xff\x7f", "cut short, expected an ONNX model"),
        ("x.onnx", b"\x0b", "wire type 3, expected an ONNX model"),
        ("modeltap.json", b'{"nmae": 1}', ".nmae: unknown key, expected one of name, version"),
    ],
)
def test_bad_input(name: str, data: bytes, problem: str) -> None:
    """What is wrong, where, and what was expected; nothing is executed, and nothing grows."""
    with pytest.raises(Problems) as caught:
        read(name, BytesIO(data))
    assert problem in str(caught.value)


def test_weights_are_stepped_over() -> None:
    """A model of a terabyte is read like one of a kilobyte: only what is asked for is touched."""
    head = (VECTORS / "onnx" / "model.onnx").read_bytes()

    tail = bytes((0xA2, 0x06)) + _varint(1 << 40)  # field 100, which nobody asks for

    class Huge(BytesIO):
        """Says that it ends a terabyte later than it does."""

        touched = 0

        def seek(self, place: int, whence: int = 0) -> int:
            return len(head + tail) + (1 << 40) if whence == 2 else super().seek(place, whence)

        def read(self, size: int | None = -1) -> bytes:
            found = super().read(size)
            self.touched += len(found)
            return found

    stream = Huge(head + tail)
    assert read("x.onnx", stream).name == "wine"
    assert stream.touched < 10 * len(head)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append((number & 0x7F) | 0x80)
        number >>= 7
    return bytes((*found, number))


def test_names() -> None:
    """Formats are told apart by the names of files; what is ours wins in a folder."""
    assert FORMATS[0] is format_of("wine.description.yaml")
    assert format_of("CONFIG.JSON") is format_of("MLmodel.bak") is None
    assert describe({}).digest == read("modeltap.json", BytesIO(b"{}")).digest
