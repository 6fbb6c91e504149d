"""Which rows stand on which dashboard: the one list to read, and to add a row to.

It knows no query. Rows that only some have data for are folded: nothing is asked of them until they are opened.
Invariant: all dashboards have one frame: the same variables, annotations and links, so that a choice made on one holds
on the next.
"""

from collections.abc import Sequence
from typing import Any

from dashboards import (
    access,
    containers,
    description,
    drift,
    expected,
    figures,
    generation,
    gpu,
    jobs,
    life,
    machine,
    objectives,
    overview,
    payloads,
    performance,
    predictions,
    quality,
    receipts,
    server,
    targets,
    traffic,
    worth,
    wrapped,
)
from dashboards.panels import Panel, layout
from dashboards.variables import dashboard

Rows = Sequence[tuple[str, Sequence[Panel]]]


def summary() -> dict[str, Any]:
    rows = (
        ("Now", overview.now()),
        ("Models", overview.models()),
        ("Alerts", overview.alerts()),
        ("Traffic", overview.traffic()),
        ("Drift", overview.drift()),
    )
    return _made("overview", "Overview", "All models behind modeltap; a row of the table leads to one.", rows)


def model() -> dict[str, Any]:
    rows = (
        ("Now", traffic.now()),
        ("Objectives", objectives.panels()),
        ("Traffic", traffic.panels()),
        ("Queue", traffic.queue()),
        ("Versions", traffic.versions()),
        ("Life", life.panels()),
        ("Model and files", description.panels()),
        ("Server", server.panels()),
        ("Connections", traffic.connections()),
        ("Model process", wrapped.panels()),
    )
    text = "Rate, errors and duration of what a model is asked; its queue, versions and life."
    return _made("model", "Model", text, rows, "Server", "Connections", "Model process")


def predicted() -> dict[str, Any]:
    rows = (
        ("Predictions", predictions.panels()),
        ("Thresholds", description.thresholds()),
        ("Drift", drift.panels()),
        ("Data quality", quality.panels()),
    )
    text = (
        "What a model is given and says, how far that is from its reference, and what of it cannot be right."
    )
    return _made("drift", "Predictions and drift", text, rows, "Thresholds")


def labelled() -> dict[str, Any]:
    rows = (
        ("Performance", performance.panels()),
        ("Expected", expected.panels()),
        ("Groups", figures.groups()),
        ("Several answers", figures.several()),
        ("Truth of numbers", targets.panels()),
        ("Worth", worth.panels()),
        ("Labels", (*performance.labels(), *receipts.panels())),
    )
    text = "What labels say of a model, and how far they can be trusted."
    return _made(
        "performance", "Performance", text, rows, "Groups", "Several answers", "Truth of numbers", "Worth"
    )


def generative() -> dict[str, Any]:
    rows = (
        ("Now", generation.now()),
        ("Generative models", generation.panels()),
        ("Server of the language model", server.generating()),
        ("Conventions to come", generation.newer()),
    )
    text = (
        "Language models: time to the first token and by token, tokens, how answers end, the server's cache."
    )
    return _made("llm", "LLM", text, rows, "Conventions to come")


def resources() -> dict[str, Any]:
    rows = (
        ("Resources", (*machine.resources(), *containers.processes())),
        ("Containers", containers.containers()),
        ("GPU", gpu.panels()),
        ("Host", containers.host()),
        ("Sidecar", machine.sidecar()),
        ("Payload log", (*payloads.panels(), *access.panels())),
    )
    text = "What model, container, GPU and host use; what the sidecar costs and loses."
    return _made("resources", "Resources", text, rows, "Host", "Payload log")


# In the order of the menu; a name is that of the file, and of the uid.
BOARDS = (
    ("overview.json", summary),
    ("model.json", model),
    ("drift.json", predicted),
    ("performance.json", labelled),
    ("llm.json", generative),
    ("resources.json", resources),
    ("jobs.json", jobs.build),
)


def _made(name: str, title: str, text: str, rows: Rows, *folded: str) -> dict[str, Any]:
    return dashboard(f"modeltap-{name}", f"modeltap / {title}", text, layout(rows, folded))
