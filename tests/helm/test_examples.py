"""The examples beside the chart: each is valid where it goes, and its sidecar is the one that the chart would make.

Tried as far as it goes without a cluster: schemas, the chart, kustomize, promtool, systemd's own verifier. What an
operator makes of them is not.
"""

from __future__ import annotations

import copy
import re
import subprocess
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from alert_rules.generate import FILES as RULE_FILES
from exporter.records.catalogue import CATALOGUE
from exporter.settings.config import Config
from exporter.settings.config import load as load_config
from tests.environments.commands import kustomize, systemd_analyze
from tests.environments.tools import tools as peers

from .conftest import CHART, LOADER, REPOSITORY, Chart, shortened
from .judges import containers, dangling, misfits, unrestricted
from .test_sidecar import env

EXAMPLES = REPOSITORY / "examples"
VALUES = sorted((EXAMPLES / "values").glob("*.yaml"))
RUNTIMES = sorted((EXAMPLES / "kserve").glob("runtime*.yaml"))
SIDECARS = ("modeltap", "classifier")
DROPPED = ("args", "env", "imagePullPolicy", "name", "ports", "readinessProbe")


def documents(path: str) -> list[dict[str, Any]]:
    """The objects of an example's file."""
    return [each for each in yaml.safe_load_all((EXAMPLES / path).read_text()) if each]


def document(path: str) -> dict[str, Any]:
    """The one object of an example's file."""
    (found,) = documents(path)
    return found


def sidecar(spec: dict[str, Any]) -> dict[str, Any]:
    """The sidecar's container of a pod."""
    (found,) = [each for each in containers(spec) if each["name"] in SIDECARS]
    return found


def accepted(container: dict[str, Any], **settings: str) -> Config:
    """The sidecar's variables and arguments as the program itself reads them; ConfigError if it refuses."""
    run, *words = container["args"]
    assert run == "run"
    flags = {
        flag.removeprefix("--").replace("-", "_"): value
        for flag, value in zip(*[iter(words)] * 2, strict=True)
    }
    variables = {name: value for name, value in env(container).items() if isinstance(value, str)}
    return load_config({**flags, **settings}, variables)


def valid(chart: Chart, folder: Path, *objects: dict[str, Any], kube: str = "1.33.0") -> str:
    """What the Kubernetes schemas find wrong; empty if nothing."""
    path = folder / "objects.yaml"
    path.write_text(shortened([*copy.deepcopy(objects)]))
    return chart.invalid(path, kube)


def pod(spec: dict[str, Any]) -> dict[str, Any]:
    """A pod of that spec, for the schemas."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}


def as_the_chart_s(chart: Chart, container: dict[str, Any], native: bool) -> None:
    """Everything but what its place asks for is as the chart renders it."""
    own = chart.sidecar("--set", f"sidecar.native={str(native).lower()}")
    for key in own.keys() | container.keys():
        if key not in DROPPED:
            assert container.get(key) == own.get(key), key
    ours, theirs = env(own), env(container)
    assert {name: value for name, value in theirs.items() if name != "MODELTAP_UPSTREAM"} == {
        name: ours[name] for name in theirs if name != "MODELTAP_UPSTREAM"
    }


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_values(chart: Chart, tmp_path: Path, values: Path) -> None:
    """Values for a model server: they render, pass admission, and the program takes what it would be given."""
    objects = chart.objects("--values", str(values))
    core = [each for each in objects if not each["apiVersion"].startswith("monitoring.")]
    assert valid(chart, tmp_path, *core) == ""
    assert [misfits(each) for each in objects if each not in core] == [[]] * (len(objects) - len(core))
    (spec,) = [each["spec"]["template"]["spec"] for each in objects if each["kind"] == "Deployment"]
    assert [*unrestricted(spec), *dangling(spec)] == []
    settings = [each["data"] for each in objects if "modeltap.yaml" in each.get("data", {})]
    file = tmp_path / "modeltap.yaml"
    file.write_text(settings[0]["modeltap.yaml"] if settings else "{}")
    found = accepted(sidecar(spec), config=str(file))
    model = next(each for each in spec["containers"] if each["name"] == "model")
    assert found.upstream.endswith(f":{model['ports'][0]['containerPort']}")
    assert spec["terminationGracePeriodSeconds"] > found.grace


def test_triton_s_grpc_reaches_the_service(chart: Chart) -> None:
    """The Service's port for gRPC leads to the listener that --forward opens."""
    objects = chart.objects("--values", str(EXAMPLES / "values" / "triton.yaml"))
    (service,) = [each for each in objects if each["kind"] == "Service"]
    (spec,) = [each["spec"]["template"]["spec"] for each in objects if each["kind"] == "Deployment"]
    (target,) = [port["targetPort"] for port in service["spec"]["ports"] if port["name"] == "grpc"]
    assert any(f":{target}=" in word for word in sidecar(spec)["args"])


@pytest.mark.parametrize("path", RUNTIMES, ids=lambda path: path.stem)
def test_kserve(chart: Chart, tmp_path: Path, path: Path) -> None:
    """A runtime that KServe takes, whose first port is the sidecar's and whose sidecar leads to the server."""
    runtime = yaml.safe_load(path.read_text())
    assert misfits(runtime) == []
    spec = {"containers": runtime["spec"]["containers"]}
    assert valid(chart, tmp_path, pod(spec)) == ""
    assert [*unrestricted(spec), *dangling(spec)] == []
    server, ours = spec["containers"]
    found = accepted(ours)
    assert server["name"] == "kserve-container"
    assert found.listen == f"[::]:{server['ports'][0]['containerPort']}"
    assert f"--http_port={found.upstream.rpartition(':')[2]}" in server["args"]
    assert runtime["spec"]["annotations"]["prometheus.io/port"] == found.admin.rpartition(":")[2]
    assert (
        document("kserve/inferenceservice.yaml")["spec"]["predictor"]["model"]["runtime"]
        == runtime["metadata"]["name"]
    )
    if path.stem == "runtime":
        as_the_chart_s(chart, ours, native=False)
        assert (
            server["lifecycle"]
            == chart.pod("--set", "sidecar.native=false")["spec"]["containers"][0]["lifecycle"]
        )


def test_knative_s_rules() -> None:
    """One container alone names ports, no other is probed or has hooks, none reads fields of its pod."""
    server, ours = document("kserve/runtime-knative.yaml")["spec"]["containers"]
    assert not {"ports", "startupProbe", "livenessProbe", "readinessProbe", "lifecycle"} & ours.keys()
    assert not [each for each in ours["env"] if "valueFrom" in each]
    assert [each["containerPort"] for each in server["ports"]] == [
        server["readinessProbe"]["httpGet"]["port"]
    ]


def test_the_inference_service() -> None:
    """What KServe's own models take."""
    assert misfits(document("kserve/inferenceservice.yaml")) == []


def test_seldon(chart: Chart, tmp_path: Path) -> None:
    """The graph's node is the sidecar, by the port named http, and leads to the model's server."""
    (predictor,) = document("seldon/deployment.yaml")["spec"]["predictors"]
    (component,) = predictor["componentSpecs"]
    spec = component["spec"]
    assert valid(chart, tmp_path, pod(spec)) == ""
    assert [*unrestricted(spec), *dangling(spec)] == []
    ours, server = spec["containers"]
    assert ours["name"] == predictor["graph"]["name"] == env(server)["MLSERVER_MODEL_NAME"]
    found = accepted(ours)
    (port,) = [each["containerPort"] for each in ours["ports"] if each["name"] == "http"]
    assert found.listen == f"[::]:{port}"
    assert found.upstream.endswith(":" + env(server)["MLSERVER_HTTP_PORT"])
    assert {each["containerPort"] for each in ours["ports"]}.isdisjoint(
        int(env(server)[name]) for name in ("MLSERVER_HTTP_PORT", "MLSERVER_GRPC_PORT")
    )
    as_the_chart_s(chart, ours, native=False)


def built(folder: Path) -> list[dict[str, Any]]:
    """What kustomize makes of a folder."""
    done = subprocess.run([*kustomize(), folder], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def test_kustomize(chart: Chart, tmp_path: Path) -> None:
    """The component puts the chart's sidecar into the labelled Deployment, leads the Service to it, and no more."""
    before = {each["kind"]: each for each in documents("kustomize/model/model.yaml")}
    objects = {each["kind"]: each for each in built(EXAMPLES / "kustomize" / "model")}
    assert valid(chart, tmp_path, *objects.values()) == ""
    spec = objects["Deployment"]["spec"]["template"]["spec"]
    assert [*unrestricted(spec), *dangling(spec)] == []
    ours = sidecar(spec)
    as_the_chart_s(chart, ours, native=True)
    (model,) = spec["containers"]
    assert (
        model.pop("lifecycle")
        == chart.pod("--set", "sidecar.native=true")["spec"]["containers"][0]["lifecycle"]
    )
    assert [model] == before["Deployment"]["spec"]["template"]["spec"]["containers"]
    found = accepted(ours)
    assert found.upstream.endswith(f":{model['ports'][0]['containerPort']}")
    (port,) = objects["Service"]["spec"]["ports"]
    assert found.listen == f"[::]:{port['targetPort']}"
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert labels == {"app": "fraud", "modeltap/sidecar": "enabled"}


def test_kustomize_leaves_others_alone(tmp_path: Path) -> None:
    """Without the label nothing is changed."""
    bare = (
        (EXAMPLES / "kustomize" / "model" / "model.yaml")
        .read_text()
        .replace("    modeltap: enabled\n", "    a: b\n")
    )
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.yaml").write_text(bare)
    (tmp_path / "component").mkdir()
    for each in (EXAMPLES / "kustomize" / "component").iterdir():
        (tmp_path / "component" / each.name).write_text(each.read_text())
    (tmp_path / "model" / "kustomization.yaml").write_text(
        "resources: [model.yaml]\ncomponents: [../component]\n"
    )
    assert sorted(built(tmp_path / "model"), key=kind_of) == sorted(yaml.safe_load_all(bare), key=kind_of)


def kind_of(each: dict[str, Any]) -> str:
    """To sort by."""
    return str(each["kind"])


def test_compose(tmp_path: Path) -> None:
    """A compose file by the schema of compose itself; Prometheus takes its configuration, with the rules."""
    found = document("compose/compose.yaml")
    assert misfits(found, "compose") == []
    service = found["services"]["modeltap"]
    config = load_config({}, {"MODELTAP_UPSTREAM": "", **service["environment"]})
    model = found["services"]["model"]
    assert config.upstream == f"http://model:{model['expose'][0]}"
    assert int(service["stop_grace_period"].removesuffix("s")) > config.grace
    published = {port.rpartition(":")[2] for port in service["ports"]}
    scraped = document("compose/prometheus.yml")["scrape_configs"][0]["static_configs"][0]["targets"]
    assert [target.rpartition(":")[2] for target in scraped] == [config.admin.rpartition(":")[2]]
    assert published == {config.listen.rpartition(":")[2], config.admin.rpartition(":")[2]}
    (tmp_path / "prometheus.yml").write_text((EXAMPLES / "compose" / "prometheus.yml").read_text())
    sources = [mount.partition(":") for mount in found["services"]["prometheus"]["volumes"]]
    for source, _, target in sources:
        place = (EXAMPLES / "compose" / source).resolve()
        assert place.exists()
        if place.is_dir():
            (tmp_path / Path(target.partition(":")[0]).name).symlink_to(place)
    command = [peers() / "promtool", "check", "config", tmp_path / "prometheus.yml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULE_FILES)} rule files found" in done.stdout


def test_systemd(tmp_path: Path) -> None:
    """systemd's own verifier has nothing to say about the unit; its grace is longer than the program's."""
    text = (EXAMPLES / "systemd" / "modeltap.service").read_text()
    command = re.search(r"^ExecStart=(\S+) run$", text, re.MULTILINE)
    assert command is not None
    program = tmp_path / "modeltap"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "modeltap.service"
    unit.write_text(text.replace(command[1], str(program)))
    done = _verified(unit)
    said = [line for line in done.stderr.splitlines() if "modeltap" in line]
    assert (done.returncode, said) == (0, [])
    settings = dict(re.findall(r"^Environment=(MODELTAP_\w+)=(.*)$", text, re.MULTILINE))
    stop = re.search(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert stop is not None and int(stop[1]) > load_config({}, settings).grace


def _verified(unit: Path) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [systemd_analyze(), "verify", "--man=no", unit]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_systemd_s_verifier_sees(tmp_path: Path) -> None:
    """The check itself works: a directive that does not exist is told."""
    unit = tmp_path / "modeltap.service"
    unit.write_text("[Service]\nExecStart=/bin/true\nKilMode=mixed\n")
    done = _verified(unit)
    assert "KilMode" in done.stderr


@pytest.mark.parametrize("name", ["alertmanagerconfig", "grafanadashboard", "keda"])
def test_operators(name: str) -> None:
    """Each fits the schema of its operator."""
    assert misfits(document(f"operators/{name}.yaml")) == []


def test_core_kinds(chart: Chart, tmp_path: Path) -> None:
    """The autoscaler and the network policy are valid; the policy opens the sidecar's ports and closes the model's."""
    policy = document("operators/networkpolicy.yaml")
    assert valid(chart, tmp_path, document("operators/hpa.yaml"), policy) == ""
    own = chart.sidecar()["ports"]
    opened = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
    assert opened == {each["containerPort"] for each in own if each["name"] in ("proxy", "metrics")}
    labels = chart.pod()["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


def test_the_dashboard_is_the_chart_s(chart: Chart) -> None:
    """The ConfigMap and its key are ones that the chart makes as release `modeltap`."""
    done = chart.run("template", "modeltap", str(CHART), "--set", "dashboards.enabled=true")
    maps = {each["metadata"]["name"]: each["data"] for each in yaml.load_all(done.stdout, LOADER) if each}
    named = document("operators/grafanadashboard.yaml")["spec"]["configMapRef"]
    assert named["key"] in maps[named["name"]]


def prometheus_name(name: str) -> str:
    """A gauge without a unit in the exposition."""
    return name.replace(".", "_")


def queries() -> list[str]:
    """Every PromQL of the examples, with the adapter's placeholders filled in."""
    found = [each["metadata"]["query"] for each in document("operators/keda.yaml")["spec"]["triggers"]]
    for rule in document("operators/prometheus-adapter.yaml")["rules"]["custom"]:
        series = rule["seriesQuery"].partition("{")[0]
        query = rule["metricsQuery"].replace("<<.GroupBy>>", "pod").replace("<<.Series>>", series)
        found += [rule["seriesQuery"], query.replace("<<.LabelMatchers>>", 'namespace="models",pod="a"')]
    return found


def test_scaling_asks_for_what_is_exported() -> None:
    """Queries parse and name gauges of the catalogue, with their labels; the autoscaler asks for the adapter's."""
    gauges = {prometheus_name(row.name): {*row.labels} for row in CATALOGUE if row.kind == "gauge"}
    for query in queries():
        promql_parser.parse(query)
        (name,) = re.findall(r"\bmodel_\w+", query)
        used = set(re.findall(r"(\w+)[!=]~?\"", query)) - {"namespace", "pod"}
        assert used <= gauges[name], query
    asked = [each["pods"]["metric"]["name"] for each in document("operators/hpa.yaml")["spec"]["metrics"]]
    served = [
        rule["seriesQuery"].partition("{")[0]
        for rule in document("operators/prometheus-adapter.yaml")["rules"]["custom"]
    ]
    assert sorted(asked) == sorted(served)


def matcher(text: str) -> dict[str, str]:
    """Alertmanager's matcher as the operator writes it."""
    found = re.fullmatch(r'(\w+)(=~|!~|!=|=)"(.*)"', text)
    assert found is not None
    return {"name": found[1], "matchType": found[2], "value": found[3]}


def test_routing_is_alertmanager_s_example() -> None:
    """The AlertmanagerConfig has the routes, the silences and the receivers of the example for Alertmanager itself."""
    spec = document("operators/alertmanagerconfig.yaml")["spec"]
    plain = yaml.safe_load((REPOSITORY / "alert_rules" / "alertmanager.yaml").read_text())
    routes = [
        {**each, "matchers": [*map(matcher, each["matchers"])]} for each in plain["route"].pop("routes")
    ]
    assert spec["route"].pop("routes") == [camel(each) for each in routes]
    assert spec["route"] == camel(plain["route"])
    assert spec["inhibitRules"] == [
        {
            "sourceMatch": [*map(matcher, each["source_matchers"])],
            "targetMatch": [*map(matcher, each["target_matchers"])],
            "equal": each["equal"],
        }
        for each in plain["inhibit_rules"]
    ]
    sends = [(each["name"], each["webhook_configs"][0]["send_resolved"]) for each in plain["receivers"]]
    assert [(each["name"], each["webhookConfigs"][0]["sendResolved"]) for each in spec["receivers"]] == sends


def camel(node: dict[str, Any]) -> dict[str, Any]:
    """The operator's spelling of Alertmanager's keys."""
    return {re.sub("_(.)", lambda letter: letter[1].upper(), key): value for key, value in node.items()}
