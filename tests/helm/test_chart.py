"""The chart as a whole: the linter, every ci file on several Kubernetes versions, the schemas."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from .conftest import CHART, EXAMPLE, REPOSITORY, Chart, shortened

CI = sorted((CHART / "ci").glob("*-values.yaml"))
# The last version without native sidecars, the first with them on, the first with them stable, a newer one.
KUBE = ("1.27.0", "1.29.0", "1.33.0", "1.36.0")
# What a ci file asks of the cluster: native sidecars, resource claims in their lasting form.
LEAST = {"example-native-values": (1, 28), "gpu-claim-values": (1, 31)}
OPERATOR_KINDS = ("PodMonitor", "PrometheusRule")


def core_complaints(found: str) -> list[str]:
    """What the validator said, less that it has no schema of the operator's kinds."""
    expected = tuple(f"Couldn't find schema for kind {kind} " for kind in OPERATOR_KINDS)
    return [line for line in found.splitlines() if not any(text in line for text in expected)]


@pytest.mark.parametrize("values", CI, ids=lambda path: path.stem)
def test_lint(chart: Chart, values: Path) -> None:
    """Helm's linter has nothing to say, however strict, with the values of each ci file."""
    done = chart.run("lint", "--strict", "--quiet", str(chart.path), "--values", str(values))
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


@pytest.mark.parametrize("kube", KUBE)
def test_every_ci_file_is_valid(chart: Chart, tmp_path: Path, kube: str) -> None:
    """Every ci file renders objects that the schemas of each Kubernetes version accept."""
    documents = tmp_path / "objects.yaml"
    version = tuple(map(int, kube.split(".")[:2]))
    files = [path for path in CI if version >= LEAST.get(path.stem, version)]
    objects = [each for path in files for each in chart.objects("--values", str(path), kube=kube)]
    documents.write_text(shortened(objects))
    assert len(objects) > len(files)
    assert core_complaints(chart.invalid(documents, kube)) == []


def test_every_form_is_valid(chart: Chart, tmp_path: Path) -> None:
    """Each form of the sidecar is valid on every version that has it."""
    for kube in KUBE:
        forms = ("auto", "false") if kube == "1.27.0" else ("auto", "true", "false")
        documents = tmp_path / f"{kube}.yaml"
        rendered = [chart.template("--set", f"{EXAMPLE},sidecar.native={form}", kube=kube) for form in forms]
        documents.write_text("\n".join(rendered))
        assert core_complaints(chart.invalid(documents, kube)) == [], kube


def test_validator_refuses_what_is_wrong(chart: Chart, tmp_path: Path) -> None:
    """The check itself works: a native sidecar is refused by the schema of a version without them."""
    documents = tmp_path / "objects.yaml"
    documents.write_text(chart.template("--set", f"{EXAMPLE},sidecar.native=true", kube="1.33.0"))
    assert "restartPolicy" in chart.invalid(documents, "1.27.0")


def test_every_switch_has_a_ci_file() -> None:
    """Each value with an `enabled` key, and each form of an enumerated one, is set by some ci file."""
    text = "\n".join(path.read_text() for path in CI)
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    switches = [name for name, value in defaults.items() if isinstance(value, dict) and "enabled" in value]
    assert switches
    for name in [*switches, "native: true", "native: false", "mode: env", "mode: claim", "enabled: false"]:
        assert f"{name}" in text, f"no ci file sets {name}"


def test_disabled_renders_nothing(chart: Chart) -> None:
    """`enabled: false` makes no object, whatever else is set."""
    everything = str(CHART / "ci" / "everything-values.yaml")
    assert chart.objects("--values", everything, "--set", "enabled=false") == []


def test_defaults_render_nothing_but_notes(chart: Chart, tmp_path: Path) -> None:
    """The bare chart makes no object, and its notes say how to put the sidecar into a pod."""
    assert chart.objects() == []
    notes = chart.notes(tmp_path)
    for name in ("initContainers", "containers", "modelLifecycle", "volumes"):
        assert f'{{{{- include "modeltap.{name}" .Subcharts.modeltap' in notes
    assert "prometheus.io annotations" in notes


def test_notes_of_the_example(chart: Chart, tmp_path: Path) -> None:
    """With the example on, the notes name its Service and warn about the operator's release label."""
    notes = chart.notes(tmp_path, "--set", f"{EXAMPLE},podMonitor.enabled=true")
    assert "service/demo-modeltap-example 8080:80" in notes
    assert "podMonitor.labels" in notes and "prometheus.io" not in notes


def test_notes_of_nothing(chart: Chart, tmp_path: Path) -> None:
    """Switched off, the chart says that it made nothing."""
    assert "made nothing" in chart.notes(tmp_path, "--set", "enabled=false")


def test_package_holds_no_ci_files(chart: Chart, tmp_path: Path) -> None:
    """The packaged chart can be installed and leaves the ci values behind."""
    assert chart.run("package", str(chart.path), "--destination", str(tmp_path)).returncode == 0
    (archive,) = tmp_path.glob("*.tgz")
    assert "Deployment" in chart.run("template", "demo", str(archive), "--set", EXAMPLE).stdout
    listing = chart.run("show", "readme", str(archive)).stdout
    assert listing.startswith("# modeltap")


def test_no_crds_are_owned() -> None:
    """The chart ships no CRD: they belong to the operator's owner and outlive a release."""
    assert not (CHART / "crds").exists()


def test_version_is_the_program_s() -> None:
    """The chart's appVersion, which is the image's tag, is the version of the distribution."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    source = (REPOSITORY / "exporter" / "__init__.py").read_text()
    dynamic = re.search(r'^__version__ = "([^"]+)"', source, re.MULTILINE)
    version = project["version"] if "version" in project else dynamic and dynamic[1]
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == version
