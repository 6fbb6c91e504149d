"""The audit says of each package what it was told, and never that one is well about which nobody was asked."""

import json
import sys
from pathlib import Path

import pytest

from tests import audit
from tests.audit import CLEAN, UNASKED, WEAK, Found, asked, judge, read

WELL = {"name": "a", "version": "1", "vulns": []}
BAD = {
    "name": "b",
    "version": "2",
    "vulns": [
        {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["3"]},
        {"id": "PYSEC-2", "fix_versions": []},
    ],
}
SKIPPED = {"name": "c", "skip_reason": "not found"}
CASES = (
    ((WELL,), CLEAN, ["audit: 1 packages, 0 weak"]),
    (
        (WELL, BAD),
        WEAK,
        [
            "audit: b 2: PYSEC-1, mended in: 3",
            "audit: b 2: PYSEC-2, mended in: none yet",
            "audit: 2 packages, 2 weak",
        ],
    ),
    ((WELL, SKIPPED), CLEAN, ["audit: not checked: c: not found", "audit: 1 packages, 0 weak"]),
    ((SKIPPED,), UNASKED, ["audit: nothing was checked: not found"]),
    ((), UNASKED, ["audit: nothing was checked: there are no packages"]),
)


@pytest.mark.parametrize(("dependencies", "status", "lines"), CASES)
def test_what_it_says(dependencies: tuple[object, ...], status: int, lines: list[str]) -> None:
    """The status and every line, by what pip-audit writes."""
    assert judge(read(json.dumps({"dependencies": dependencies, "fixes": []}))) == (status, lines)


def test_what_is_ignored_is_ignored_by_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """An alias will do."""
    monkeypatch.setattr(audit, "IGNORED", {"CVE-1": "not reached"})
    assert len(read(json.dumps({"dependencies": [BAD]})).weak) == 1


SPEECHLESS = (
    ("print('no json')", "pip-audit said nothing"),
    ("raise SystemExit('no network')", "no network"),
)


@pytest.mark.parametrize(("code", "why"), SPEECHLESS)
def test_one_that_cannot_say_anything(code: str, why: str) -> None:
    """Nothing was asked, for the reason that it gave last."""
    assert asked([sys.executable, "-c", code]) == Found((), (), {"": why})


def test_the_runtime_set_is_asked_about(tmp_path: Path) -> None:
    """Every installed package that modeltap requires, in its version."""
    code = "import sys, pathlib; sys.exit(pathlib.Path(sys.argv[2]).read_text().replace('\\n', ' '))"
    (why,) = asked([sys.executable, "-c", code]).unasked.values()
    assert {"aiohttp", "numpy", "msgspec"} <= {pin.partition("==")[0] for pin in why.split()}


@pytest.mark.parametrize(("soft", "status"), [((), UNASKED), (("--soft",), CLEAN)])
def test_soft(soft: tuple[str, ...], status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody could be asked it is no failure of the checks."""
    monkeypatch.setattr(audit, "environment", lambda _: Path("/"))
    monkeypatch.setattr(audit, "asked", lambda _: Found((), (), {"": "no network"}))
    assert audit.main(soft) == status
