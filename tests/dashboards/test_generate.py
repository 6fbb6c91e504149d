"""The dashboards: written from code, from declared metrics, readable when idle, understood by Prometheus."""

import json
import re
import subprocess
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from alert_rules.promql import families_in, family, interpolate, recorded_in, undeclared_in
from dashboards import generate
from dashboards.generate import DASHBOARDS, main, queries, render, undeclared
from dashboards.panels import NO_TRAFFIC
from exporter.records.catalogue import CATALOGUE, metric, prometheus_name
from tests.dashboards.built import NAMES, built
from tests.dashboards.linter import panels, variable
from tests.environments.tools import tools

TARGETS = {
    "latency_target": "model.request.duration",
    "first_token_target": "gen_ai.server.time_to_first_token",
}
every = pytest.mark.parametrize("name", NAMES)


def test_committed_files_are_what_would_be_written() -> None:
    """The JSON beside the generator is what it writes (else: python -m dashboards.generate)."""
    assert main(["--check"]) == 0


def test_check_fails_on_a_stale_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that somebody edited by hand fails the check and is named; writing mends it."""
    monkeypatch.setattr(generate, "HERE", tmp_path)
    (tmp_path / "model.json").write_text("{}\n")
    assert main(["--check"]) == 1
    assert main([]) == 0
    assert main(["--check"]) == 0


def test_check_fails_on_an_undeclared_metric(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A query that names what the catalogue does not declare fails the check and is not written."""
    made = DASHBOARDS[0][1]()
    next(panels(made))["targets"][0]["expr"] = "sum(model_moods_total)"
    monkeypatch.setattr(generate, "HERE", tmp_path)
    monkeypatch.setattr(generate, "DASHBOARDS", (("model.json", lambda: made),))
    assert main([]) == 1
    assert "panel 'Models down': model_moods_total not in the catalogue" in capsys.readouterr().err
    assert not (tmp_path / "model.json").exists()


@every
def test_every_metric_used_is_declared(name: str) -> None:
    """Panels, variables and annotations read declared metrics only."""
    assert undeclared(built(name)) == []


def test_every_declared_metric_is_shown() -> None:
    """Each row of the catalogue has a query in some dashboard."""
    read = {
        name
        for name in NAMES
        for _, query in queries(built(name))
        for name in families_in(interpolate(query))
    }
    assert {prometheus_name(row) for row in CATALOGUE} - read == set()


@every
def test_descriptions_name_the_metrics(name: str) -> None:
    """A description ends with the families that the panel reads, recorded ones too."""
    for panel in panels(built(name)):
        exprs = [interpolate(target["expr"]) for target in panel["targets"]]
        read = {name for expr in exprs for name in (*families_in(expr), *recorded_in(expr))}
        assert panel["description"].endswith("Metrics: " + ", ".join(f"`{name}`" for name in sorted(read)))


@every
def test_panels_say_what_their_emptiness_means(name: str) -> None:
    """Every panel has a text for the empty case, and only what traffic fills says "No traffic"."""
    texts = {panel["title"]: panel["fieldConfig"]["defaults"]["noValue"] for panel in panels(built(name))}
    assert all(texts.values())
    told = {"Requests by code class": NO_TRAFFIC, "GPU busy": "No GPU", "Last runs": "No job was run"}
    assert all(texts[title] == text for title, text in told.items() if title in texts)


@every
def test_traffic_leaves_probes_out(name: str) -> None:
    """A query of a family with an operation leaves health and metadata calls out."""
    named = {prometheus_name(row) for row in CATALOGUE if "operation" in row.labels}
    for panel in panels(built(name)):
        for target in panel["targets"]:
            if named & set(families_in(interpolate(target["expr"]))):
                assert 'operation!~"health|metadata"' in target["expr"], panel["title"]


@every
def test_latency_carries_exemplars(name: str) -> None:
    """The latency panel asks for exemplars, no other does."""
    found = list(panels(built(name)))
    asking = {panel["title"] for panel in found if any(target["exemplar"] for target in panel["targets"])}
    assert asking == {panel["title"] for panel in found} & {"Latency"}


@every
def test_layout_does_not_overlap(name: str) -> None:
    """Ids are unique and no two panels cover the same cell of Grafana's 24 columns."""
    made = built(name)
    assert len({panel["id"] for panel in made["panels"]}) == len(made["panels"])
    cells: set[tuple[int, int]] = set()
    for panel in made["panels"]:
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not own & cells, panel["title"]
        assert place["x"] + place["w"] <= 24
        cells |= own


@every
def test_prometheus_understands_every_query(name: str, tmp_path: Path) -> None:
    """promtool, not only our parser, takes each query of panels, variables and annotations."""
    rules = [
        {"record": f"query:{at}", "expr": interpolate(query)}
        for at, (_, query) in enumerate(queries(built(name)))
    ]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run(
        [tools() / "promtool", "check", "rules", path],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_names_come_from_the_catalogue() -> None:
    """`family` refuses an unknown name; `undeclared_in` sees names in ranges, subqueries and records."""
    with pytest.raises(KeyError):
        family("model.moods")
    assert family("model.request.duration", "_count") == "model_request_duration_seconds_count"
    assert undeclared_in("max_over_time(rate(a_total[5m])[1h:1m]) + up + b:c") == ["a_total", "b:c"]
    assert undeclared_in("b:c", frozenset({"b:c"})) == []


def test_interpolation_is_grafanas() -> None:
    """Variables become values, Grafana's own become durations, the `${1}` of label_replace stays."""
    query = 'label_replace(x{a=~"$job", b="${feature:raw}"}[$__rate_interval], "c", "${1}xx", "d", "$1")'
    expected = 'label_replace(x{a=~".*", b="age"}[1m], "c", "${1}xx", "d", "$1")'
    assert interpolate(query, {"feature": "age"}) == expected


def test_json_is_plain() -> None:
    """The JSON has no input placeholders, which only the import form of Grafana would fill."""
    text = render(DASHBOARDS[0][1]())
    assert "__inputs" not in json.loads(text)
    assert "${DS_" not in text


def test_a_choice_holds_on_the_next_dashboard() -> None:
    """All dashboards of models have the same variables, in the same order; what none of its queries reads is hidden."""
    lists = [built(name)["templating"]["list"] for name in NAMES if name != "jobs.json"]
    assert len({tuple(one["name"] for one in each) for each in lists}) == 1
    for each in lists:
        shown = {one["name"] for one in each if not one.get("hide")}
        assert {"datasource", "job", "instance", "model_name"} <= shown
    hidden = {one["name"] for one in built("resources.json")["templating"]["list"] if one.get("hide")}
    assert hidden >= {"feature", "latency_target"}


def test_targets_are_bounds_of_their_histogram() -> None:
    """A share within a target is exact: each target that can be chosen is a bucket's bound."""
    for name, family_name in TARGETS.items():
        offered = variable(built("llm.json"), name)["query"].split(",")
        assert [float(one) for one in offered] == list(metric(family_name).buckets)


def test_links_lead_to_dashboards() -> None:
    """Each data link names a dashboard that is there, and fields of its own table."""
    uids = {built(name)["uid"] for name in NAMES}
    found = [link for name in NAMES for panel in panels(built(name)) for link in links(panel)]
    assert len(found) >= 2
    for link in found:
        assert link["url"].removeprefix("/d/").partition("?")[0] in uids
        assert set(re.findall(r"__data\.fields\.(\w+)", link["url"])) == {"model_name", "model_version"}


def links(panel: dict[str, Any]) -> list[dict[str, Any]]:
    properties = chain.from_iterable(one["properties"] for one in panel["fieldConfig"]["overrides"])
    return [link for one in properties if one["id"] == "links" for link in one["value"]]


@every
def test_tables_show_each_of_their_columns(name: str) -> None:
    """Grafana calls the values of a lone query "Value", of several "Value #A" and so on: each has a name of ours."""
    for panel in panels(built(name)):
        if panel["type"] == "table":
            (organized,) = (one["options"] for one in panel["transformations"] if one["id"] == "organize")
            letters = [target["refId"] for target in panel["targets"]]
            given = [f"Value #{letter}" for letter in letters] if len(letters) > 1 else ["Value"]
            assert set(given) <= organized["renameByName"].keys(), panel["title"]
            assert not set(given) & organized["excludeByName"].keys(), panel["title"]
