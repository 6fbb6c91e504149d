"""The real helm client and the Kubernetes schemas for the chart's tests.

Both live in a virtualenv of their own (tests/environments/helm.txt), made at first use. Nothing here
asserts; a test gets a `Chart` and says what it expects. `--golden` or GOLDEN=1 rewrites golden files.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "helm" / "modeltap"
# The loader in C reads the dashboards twenty times faster.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
EXAMPLE = "example.enabled=true,example.image=model:1.0"


def load(path: Path) -> ModuleType:
    """Import one Python file by its path: helm/ and tests/environments/ are no packages."""
    spec = importlib.util.spec_from_file_location(path.stem + "_file", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up by name while the file is being read.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True, slots=True)
class Chart:
    """The helm client with one chart."""

    bin: Path
    path: Path

    def run(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run helm; the caller judges the exit status."""
        command = [str(self.bin / "helm"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=60)

    def template(self, *arguments: str, kube: str = "1.33.0") -> str:
        """Render the chart as release `demo` in namespace `models`."""
        # This repository's own chart does not change while tests run.
        render = _rendered if self.path == CHART else _rendered.__wrapped__
        return render(self, arguments, kube)

    def objects(self, *arguments: str, kube: str = "1.33.0") -> list[dict[str, Any]]:
        """Render the chart and parse its objects."""
        return [each for each in yaml.load_all(self.template(*arguments, kube=kube), LOADER) if each]

    def pod(self, *arguments: str, kube: str = "1.33.0") -> dict[str, Any]:
        """Render the example's Deployment and return its pod template."""
        found = self.objects("--set", EXAMPLE, *arguments, kube=kube)
        pods = [each["spec"]["template"] for each in found if each["kind"] == "Deployment"]
        assert len(pods) == 1
        return dict(pods[0])

    def sidecar(self, *arguments: str, kube: str = "1.33.0") -> dict[str, Any]:
        """Render the example and return the sidecar's container, native or not."""
        spec = self.pod(*arguments, kube=kube)["spec"]
        both = [*spec.get("initContainers", []), *spec["containers"]]
        named = [each for each in both if each["name"] != "model"]
        assert len(named) == 1
        return dict(named[0])

    def refusal(self, *arguments: str) -> str:
        """Render what must be refused and return helm's message."""
        done = self.run("template", "demo", str(self.path), "--kube-version", "1.33.0", *arguments)
        assert done.returncode != 0, "helm accepted it"
        return done.stderr

    def notes(self, folder: Path, *arguments: str) -> str:
        """Render the notes. `helm template` leaves them out, so a copy shows them as an object."""
        copy = folder / "with-notes"
        shutil.copytree(self.path, copy)
        notes = (copy / "templates" / "NOTES.txt").read_text()
        wrapped = '{{- define "notes" -}}\n' + notes + "{{- end -}}\n"
        (copy / "templates" / "notes.yaml").write_text(wrapped + 'notes: {{ include "notes" . | toJson }}\n')
        shown = Chart(self.bin, copy).template("--show-only", "templates/notes.yaml", *arguments)
        return str(yaml.safe_load(shown)["notes"])

    def invalid(self, documents: Path, kube: str) -> str:
        """Judge a file of objects by the schemas of one Kubernetes version; empty means valid."""
        command = [str(self.bin / "kubernetes-validate"), "--strict", "-k", kube, str(documents)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        lines = (done.stdout + done.stderr).splitlines()
        complaints = [line for line in lines if not line.startswith("INFO")]
        return "\n".join(complaints) if done.returncode or complaints else ""


@lru_cache(maxsize=256)
def _rendered(chart: Chart, arguments: tuple[str, ...], kube: str) -> str:
    common = ["--namespace", "models", "--kube-version", kube]
    done = chart.run("template", "demo", str(chart.path), *common, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def shortened(objects: list[dict[str, Any]]) -> str:
    """The objects as text, with what is in ConfigMaps cut: schemas say of it only that it is text."""
    for each in objects:
        if each["kind"] == "ConfigMap":
            each["data"] = {name: text[:100] for name, text in each["data"].items()}
    return str(yaml.dump_all(objects, Dumper=DUMPER))


@pytest.fixture(scope="session")
def tools() -> Path:
    """The bin folder of the chart tests' own virtualenv."""
    make = load(REPOSITORY / "tests" / "environments" / "make.py")
    return Path(make.environment("helm")) / "bin"


@pytest.fixture(scope="session")
def chart(tools: Path) -> Chart:
    """The chart of this repository."""
    return Chart(tools, CHART)


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be rewritten."""
    return bool(request.config.getoption("--golden", default=False)) or os.environ.get("GOLDEN") == "1"
