"""`modeltap describe`: read, add, write, compare, refuse."""

import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from exporter.cli import main
from exporter.describe import describe

VECTORS = Path(__file__).parents[1] / "vectors" / "description"


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["describe", *arguments])
    out = capsys.readouterr()
    return status, out.out, out.err


def test_from_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What training says on the command line is written whole; values are JSON or text."""
    out = tmp_path / "modeltap.json"
    flags = ["--name", "fraud", "--version", "7", "--owner", "ada", "--team", "risk", "--run-id", "r1"]
    sets = ["training.seed=7", "optimiser.name=adam", 'thresholds=[{"name": "review", "value": 0.5}]']
    given = [part for item in sets for part in ("--set", item)]
    status, shown, told = said(capsys, *flags, *given, "--checkpoint", "last", "--out", str(out))
    document = json.loads(out.read_text())
    assert document == {
        "schema": "modeltap.description/1",
        **{
            "name": "fraud",
            "version": "7",
            "owner": "ada",
            "team": "risk",
            "run_id": "r1",
            "checkpoint": "last",
        },
        "optimiser": {"name": "adam"},
        "training": {"seed": 7},
        "thresholds": [{"name": "review", "value": 0.5}],
    }
    assert (status, shown, told) == (0, "", f"{out}: {describe(document).digest}\n")
    assert list(tmp_path.iterdir()) == [out]
    assert said(capsys, str(out), "--digest") == (0, f"{describe(document).digest}\n", "")


def test_from_a_file_with_more(capsys: pytest.CaptureFixture[str]) -> None:
    """What the server's file says, and what the flags say over it; the environment is this one's."""
    status, shown, _ = said(
        capsys, str(VECTORS / "mlserver"), "--name", "w", "--set", "training.seed=1", "--environment"
    )
    document = json.loads(shown)
    assert (status, document["name"], document["training"]) == (0, "w", {"seed": 1})
    assert document["environment"]["max_batch_size"] == 32
    assert document["environment"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert "numpy" in document["environment"]["packages"]


def test_from_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON or YAML."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"name: a\ntraining: {seed: 1}\n")))
    status, shown, _ = said(capsys, "-")
    assert (status, json.loads(shown)["training"]) == (0, {"seed": 1})


def test_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 and the digest for the same; 1 and a line for each value that differs, or JSON."""
    paths = [tmp_path / name for name in ("a.description.json", "b.description.yaml")]
    paths[0].write_text('{"name": "m", "training": {"seed": 1}}')
    paths[1].write_text("name: m\nteam: x\ntraining: {seed: 2, lr: 0.5}\n")
    names = [str(path) for path in paths]
    assert said(capsys, "--compare", *names) == (
        1,
        'team: (nothing) -> "x"\ntraining.seed: 1 -> 2\ntraining.lr: (nothing) -> 0.5\n',
        "",
    )
    status, shown, _ = said(capsys, "--compare", *names, "--json")
    assert status == 1
    assert json.loads(shown)[1] == {"place": "training.seed", "before": 1, "after": 2}
    status, shown, _ = said(capsys, "--compare", names[0], names[0])
    assert (status, shown[:10]) == (0, "the same: ")


def test_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """For editors and for who checks files elsewhere."""
    status, shown, _ = said(capsys, "--schema")
    assert (status, json.loads(shown)["title"]) == (0, "modeltap.description/1")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "expected FILE, - or flags that say something"),
        (["/nowhere/MLmodel"], "/nowhere/MLmodel: No such file or directory"),
        (["--compare", "/nowhere/a", "/nowhere/b"], "/nowhere/a: No such file or directory"),
        (["--set", "seed=1"], "--set seed=1: expected SECTION.KEY=VALUE, of architecture"),
        (["--set", "training.seed"], "--set training.seed: expected SECTION.KEY=VALUE"),
        (["--set", "thresholds=3"], "modeltap describe.thresholds: int, expected a list"),
        (["--set", "features.a=3"], "--set features.a=3: expected SECTION.KEY=VALUE"),
        (["--name", "x" * 129], "modeltap describe.name: "),
        (["--name", "x", "--out", "/nowhere/x"], "No such file or directory"),
    ],
)
def test_bad_input(arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, with where, what and what was expected."""
    status, shown, told = said(capsys, *arguments)
    assert (status, shown) == (2, "")
    assert problem in told


def test_pickles_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pickle would run code where it is read; it is not opened."""
    path = tmp_path / "model.joblib"
    path.write_bytes(b"cposix\nsystem\n(S'touch /tmp/executed'\ntR.")
    status, _, told = said(capsys, str(path))
    assert status == 2
    assert f"{path}: loading it could execute code; describe the model where it is trained instead" in told


def test_training_needs_nothing_heavy() -> None:
    """A training script that imports `exporter.describe` loads no library besides."""
    code = "import sys; import exporter.describe; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert loaded & {"numpy", "yaml", "aiohttp", "psutil", "msgspec", "sklearn"} == set()


def test_artifacts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files are declared by where they are from the description, with their digests; again, the new digest counts."""
    out, weights = tmp_path / "modeltap.json", tmp_path / "v1" / "weights.bin"
    weights.parent.mkdir()
    weights.write_bytes(b"w")
    flags = ["--artifact", str(weights), "--out", str(out)]
    assert said(capsys, "--name", "m", *flags)[0] == 0
    declared = {"path": "v1/weights.bin", "digest": f"sha256:{hashlib.sha256(b'w').hexdigest()}"}
    assert json.loads(out.read_text())["artifacts"] == [declared]
    weights.write_bytes(b"v")
    assert said(capsys, str(out), *flags)[0] == 0
    declared["digest"] = f"sha256:{hashlib.sha256(b'v').hexdigest()}"
    assert json.loads(out.read_text())["artifacts"] == [declared]
    # Read where it lies, without --out.
    other = tmp_path / "other"
    other.write_bytes(b"o")
    status, shown, _ = said(capsys, str(tmp_path), "--artifact", str(other))
    assert (status, [one["path"] for one in json.loads(shown)["artifacts"]]) == (
        0,
        ["v1/weights.bin", "other"],
    )


def test_artifacts_elsewhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Above the description, by a link that leads there, or not there at all: told, and nothing is written."""
    folder, secret = tmp_path / "m", tmp_path / "secret"
    folder.mkdir()
    secret.write_bytes(b"s")
    (folder / "link").symlink_to("../secret")
    for name in (secret, folder / "link"):
        status, _, told = said(capsys, "--artifact", str(name), "--out", str(folder / "modeltap.json"))
        assert (status, told) == (
            2,
            f"--artifact {name}: expected a file below {folder}, where the description is\n",
        )
    gone = str(folder / "gone")
    assert said(capsys, "--artifact", gone)[0] == 2
    assert (
        said(capsys, "--artifact", gone, "--out", str(folder / "x"))[2]
        == f"{gone}: No such file or directory\n"
    )
    assert not (folder / "modeltap.json").exists()
