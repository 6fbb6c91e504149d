"""The pages on Kubernetes: what they name is there, and their helm commands render."""

from __future__ import annotations

import re
import shlex

import pytest

from .conftest import REPOSITORY, Chart

PAGES = ("docs/kubernetes.md", "examples/README.md", "helm/modeltap/README.md")
NAMED = re.compile(r"(?<![\w/.])((?:examples|tests|helm)/[\w./-]+\w)")
LINK = re.compile(r"\]\(([^)#]+)(?:#[\w-]+)?\)")
COMMANDS = re.findall(
    r"^helm install (.+)$",
    (REPOSITORY / "docs" / "kubernetes.md").read_text().replace("\\\n", " "),
    re.MULTILINE,
)


@pytest.mark.parametrize("page", PAGES)
def test_what_pages_name_is_there(page: str) -> None:
    """Every file of the repository that a page names or links to exists."""
    text = (REPOSITORY / page).read_text()
    for name in NAMED.findall(text):
        assert (REPOSITORY / name).exists(), f"{page} names {name}"
    for link in LINK.findall(text):
        assert ((REPOSITORY / page).parent / link).exists(), f"{page} links to {link}"


def test_anchors() -> None:
    """Links within the page lead to its headings."""
    text = (REPOSITORY / "docs" / "kubernetes.md").read_text()
    headings = {
        re.sub(r"[^\w -]", "", line).lower().replace(" ", "-")
        for line in re.findall(r"^## (.+)$", text, re.M)
    }
    anchors = re.findall(r"\]\(#([\w-]+)\)", text)
    assert anchors and {*anchors} <= headings


def test_every_example_is_listed() -> None:
    """The table of examples has every file but the parts of a listed one."""
    text = (REPOSITORY / "examples" / "README.md").read_text()
    listed = set(re.findall(r"`([\w/-]+\.\w+)`", text))
    folder = REPOSITORY / "examples"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*.*") if path.is_file()} - {"README.md"}
    parts = {
        name for name in files if name.startswith("kustomize/") and not name.endswith("kustomization.yaml")
    }
    assert files - parts == {name for name in listed if "/" in name and not name.startswith("docs/")} - {
        "alert_rules/alertmanager.yaml",
        "tests/helm/test_examples.py",
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(chart: Chart, command: str) -> None:
    """Each `helm install` of the page renders the Deployment that it promises."""
    done = chart.run("template", *shlex.split(command), cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert "kind: Deployment" in done.stdout


def test_there_are_commands() -> None:
    """The page has one for each server that the chart has values for."""
    assert {
        word for command in COMMANDS for word in shlex.split(command) if word.startswith("examples/")
    } == {f"examples/values/{path.name}" for path in (REPOSITORY / "examples" / "values").glob("*.yaml")}
