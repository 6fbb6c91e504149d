"""A real sidecar that is told what its model is made of: files, a description, thresholds."""

import hashlib
import json
import os
from pathlib import Path

from tests.app.conftest import Start
from tests.e2e.processes import wait_until


def test_what_the_model_is_made_of(start: Start, tmp_path: Path) -> None:
    """Files are hashed and compared, owner and digests shown; a new description is read while it runs, and told."""
    right, wrong, said = tmp_path / "a.bin", tmp_path / "b.bin", tmp_path / "modeltap.json"
    right.write_bytes(weights := os.urandom(3 << 20))
    wrong.write_bytes(b"x")
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  b.bin\n{'0' * 64}  c.bin\n")
    (tmp_path / "d.bin").write_bytes(b"d")
    files = [
        {"path": "d.bin", "digest": hashlib.sha256(b"d").hexdigest()},
        {"path": "b.bin", "digest": "1" * 64},
    ]
    document = {"owner": "ada", "training": {"seed": 1}, "thresholds": [{"name": "review", "value": 0.5}]}
    document["artifacts"] = files
    said.write_text(json.dumps(document))
    digest = hashlib.sha256(weights).hexdigest()
    sidecar = start(
        *("--series-hold", "0", "--descriptions", str(said), "--model-team", "risk"),
        *("--artifacts", f"{right}=sha256:{digest}", "--artifact-sums", str(tmp_path / "SHA256SUMS")),
    )

    def total(name: str, **labels: str) -> float:
        return sidecar.metrics().total(name, **labels)

    def hashed() -> bool:
        return (
            total("model_artifact_state", state="match") + total("model_artifact_state", state="mismatch")
            == 3
        )

    assert sidecar.post()[0] == 200
    wait_until(hashed, "files are hashed", 60)
    assert total("model_artifact_info", artifact=str(right), digest=digest) == 1
    assert total("model_artifact_state", artifact=str(wrong), state="mismatch") == 1
    assert total("model_artifact_state", artifact=str(tmp_path / "d.bin"), state="match") == 1
    assert total("model_artifact_conflict", artifact=str(wrong)) == 1
    assert total("model_artifact_state", artifact=str(tmp_path / "c.bin"), state="missing") == 1
    sidecar.logged("A file of the model is not the one that is expected")
    wait_until(
        lambda: total("model_owner_info", model_name="echo", owner="ada", team="risk"), "it is named", 60
    )
    assert total("model_threshold_rows_total", model_name="echo", threshold="review") == 1
    document["training"] = {"seed": 2}
    said.with_suffix(".new").write_text(json.dumps(document))
    said.with_suffix(".new").replace(said)
    wait_until(lambda: total("model_description_changes_total", section="training"), "it is read again", 60)
    sidecar.logged("The description of a model says something else than before.*sections=training")
