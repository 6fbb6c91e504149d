"""`modeltap feedback`: what is sent of a file; with a running sidecar it is shown in tests/e2e/test_labels.py."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from exporter.admin.writes import FEEDBACK_PATH
from exporter.admin.writes import MAX_BODY as TAKEN
from exporter.commands import feedback
from exporter.commands.feedback import Errand, Roles
from exporter.commands.handover import MAX_BODY, bodies
from exporter.commands.rowfiles import open_rows
from exporter.commands.sending import SendError
from exporter.decode.feedback import decode

NOW = 1_750_000_000.0


def written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def sent(file: str, roles: Roles | None = None, size: int = 100) -> list[dict[str, Any]]:
    return [
        item
        for body, _ in bodies(open_rows(file), (roles or Roles()).items, size)
        for item in json.loads(body)
    ]


def test_the_bound_is_the_sidecars() -> None:
    """And so is the path."""
    assert (MAX_BODY, Errand.path) == (TAKEN, FEEDBACK_PATH)


def test_columns_become_fields(tmp_path: Path) -> None:
    """By their names, or by those that flags give; others are left out; the sidecar takes what comes of it."""
    file = written(
        tmp_path / "l.csv",
        "order,fraud,at,weight,group.sex,outcome.loss,note\n17,1,2023-11-14T22:13:20Z,2,f,3.5,x\nb,0,,,,,y\n",
    )
    items = sent(file, Roles("order", "fraud", "at", "crm"))
    assert items == [
        {
            "source": "crm",
            "id": "17",
            "label": 1,
            "observed_at": "2023-11-14T22:13:20Z",
            "weight": 2,
            "groups": {"sex": "f"},
            "outcomes": {"loss": 3.5},
        },
        {"source": "crm", "id": "b", "label": 0},
    ]
    assert not any(isinstance(one, str) for one in decode(json.dumps(items).encode(), "json", NOW))


def test_lines_of_json(tmp_path: Path) -> None:
    """Labels of several outputs, whole numbers as ids."""
    file = written(
        tmp_path / "l.jsonl",
        '{"id": 7, "label.price": 1.5, "label.area": "large"}\n{"id": 8, "row": 2, "label.price": 2}\n',
    )
    assert sent(file) == [
        {"id": 7, "labels": {"price": 1.5, "area": "large"}},
        {"id": 8, "labels": {"price": 2}, "row": 2},
    ]


def test_batches_and_what_is_skipped(tmp_path: Path) -> None:
    """The rows after --skip, in batches, halved until a body fits."""
    file = written(tmp_path / "l.csv", "id,label\n" + "".join(f"{n},1\n" for n in range(10)))
    assert [rows for _, rows in bodies(open_rows(file), Roles().items, 4, 5)] == [3, 2]
    wide = written(tmp_path / "w.csv", "id,label,source\n" + f"a,1,{'x' * 100_000}\n" * 12)
    assert [rows for _, rows in bodies(open_rows(wide), Roles().items, 12)] == [6, 6]


def test_what_is_told() -> None:
    """Counts by outcome, reasons; a sidecar that joins no labels is named as one."""
    errand = Errand(Roles())
    told = {
        "counts": {"joined": 2, "invalid": 1},
        "refused": [{"item": 1, "reason": "bad_id", "expected": "an id"}],
    }
    errand.take(200, told, 3)
    assert (dict(errand.outcomes), dict(errand.refused)) == ({"joined": 2, "invalid": 1}, {"bad_id": 1})
    assert errand.failed
    with pytest.raises(SendError, match="--label-store"):
        errand.take(404, {}, 3)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--batch", "0"], "--batch: 0: expected at least 1"),
        (["--id", "order"], "--id: no column order; expected of id, label"),
        (["--label", "y"], "--label: no column y; expected of id, label"),
    ],
)
def test_wrong_flags(tmp_path: Path, flags: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every problem before anything is sent; status 2."""
    file = written(tmp_path / "l.csv", "id,label\na,1\n")
    parser = argparse.ArgumentParser()
    feedback.add_arguments(parser)
    assert feedback.run(parser.parse_args([file, *flags])) == 2
    assert f"modeltap feedback: {told}" in capsys.readouterr().err
