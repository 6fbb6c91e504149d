"""The sidecar's container and what its pod needs, as a pod really gets them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from exporter.settings.config import load as load_config

from .conftest import CHART, EXAMPLE, Chart


def env(container: dict[str, Any]) -> dict[str, Any]:
    """Variables by name; a reference shows as its mapping."""
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def ci(name: str) -> tuple[str, str]:
    """Arguments that take one ci file."""
    return "--values", str(CHART / "ci" / f"{name}-values.yaml")


@pytest.mark.parametrize(
    ("kube", "native", "expected"),
    [
        ("1.27.0", "auto", False),
        ("1.28.9", "auto", False),
        ("v1.29.0-gke.1", "auto", True),
        ("1.33.0", "auto", True),
        ("1.29.0", "false", False),
        ("1.28.0", "true", True),
    ],
)
def test_native_form(chart: Chart, kube: str, native: str, expected: bool) -> None:
    """`auto` is native from 1.29 on; `true` and `false` force one form; it is never in both places."""
    spec = chart.pod("--set", f"sidecar.native={native}", kube=kube)["spec"]
    init = [each["name"] for each in spec.get("initContainers", [])]
    plain = [each["name"] for each in spec["containers"]]
    assert init == (["modeltap"] if expected else [])
    assert plain == (["model"] if expected else ["model", "modeltap"])
    container = chart.sidecar("--set", f"sidecar.native={native}", kube=kube)
    assert container.get("restartPolicy") == ("Always" if expected else None)


def test_native_on_an_old_cluster_is_refused(chart: Chart) -> None:
    """Forcing the native form where there is none says so; it would be an init container that never ends."""
    done = chart.run("template", "x", str(CHART), "--kube-version", "1.27.0", *ci("example-native"))
    assert "Kubernetes v1.27.0 has no native sidecars" in done.stderr


@pytest.mark.parametrize("native", ["true", "false"])
def test_probes_ask_the_health_port_only(chart: Chart, native: str) -> None:
    """Startup and liveness ask /livez of the health port; no readiness probe gates the pod."""
    container = chart.sidecar("--set", f"sidecar.native={native}")
    for probe in ("startupProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/livez", "port": 9465}
    assert "readinessProbe" not in container


def test_probes_can_be_chosen(chart: Chart) -> None:
    """Readiness, when asked for, is the sidecar's own; all probes can be switched off."""
    ready = chart.sidecar("--set", "sidecar.readinessProbe.enabled=true")["readinessProbe"]
    assert ready["httpGet"] == {"path": "/readyz", "port": 9465}
    assert not [key for key in chart.sidecar(*ci("no-probes")) if key.endswith("Probe")]


def test_drain_on_stop(chart: Chart) -> None:
    """The model waits in both forms for a drain with a quiet period: SIGTERM begins it, or the native one's hook."""
    begin = {"preStop": {"exec": {"command": ["modeltap", "drain", "--no-wait"]}}}
    for native, begins, path in (
        ("true", begin, "/wait-for-drain?notice=10"),
        ("false", None, "/wait-for-drain"),
    ):
        sidecar = chart.sidecar("--set", f"sidecar.native={native}")
        assert sidecar.get("lifecycle") == begins
        assert env(sidecar)["MODELTAP_DRAIN_QUIET"] == "10"
        assert ("MODELTAP_FINAL_SCRAPE_WAIT" in env(sidecar)) == (native == "false")
        containers = chart.pod("--set", f"sidecar.native={native}")["spec"]["containers"]
        assert containers[0]["lifecycle"] == {"preStop": {"httpGet": {"path": path, "port": 9465}}}


@pytest.mark.parametrize("native", ["true", "false"])
def test_restricted_security_context(chart: Chart, native: str) -> None:
    """The container meets the restricted Pod Security Standard and can write nowhere."""
    container = chart.sidecar("--set", f"sidecar.native={native}")
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert not [each for each in container.get("volumeMounts", []) if not each.get("readOnly")]


def test_pod_exposes_nothing_of_the_host(chart: Chart) -> None:
    """No host namespace, host path, host port or API token; processes are shared only on demand."""
    for name in ("example-native", "example-plain", "config", "gpu-env"):
        spec = chart.pod(*ci(name))["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"} & spec.keys()
        assert "hostPort" not in yaml.safe_dump(spec)
        assert not [each for each in spec.get("volumes", []) if "hostPath" in each]
    assert chart.pod(*ci("everything"))["spec"]["shareProcessNamespace"] is True


def test_user_left_to_the_cluster(chart: Chart) -> None:
    """A user of null is left out, which OpenShift needs; non-root stays demanded."""
    context = chart.sidecar(*ci("openshift"))["securityContext"]
    assert not {"runAsUser", "runAsGroup"} & context.keys()
    assert context["runAsNonRoot"] is True


def test_resources(chart: Chart) -> None:
    """Small requests, a memory limit, no CPU limit."""
    assert chart.sidecar()["resources"] == {
        "requests": {"cpu": "20m", "memory": "96Mi"},
        "limits": {"memory": "192Mi"},
    }


def test_image_is_never_latest(chart: Chart) -> None:
    """The tag is the appVersion, or what values say; a digest wins over both."""
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert chart.sidecar()["image"] == f"modeltap:{version}"
    assert chart.sidecar("--set", "image.tag=v9")["image"] == "modeltap:v9"
    assert chart.sidecar(*ci("everything"))["image"].startswith("mirror/modeltap@sha256:")


def test_settings_in_the_environment(chart: Chart) -> None:
    """Addresses are passed as the program's own settings, the pod's names as resource attributes."""
    container = chart.sidecar()
    assert container["args"] == ["run"]
    variables = env(container)
    assert variables["MODELTAP_UPSTREAM"] == "http://127.0.0.1:8080"
    assert variables["MODELTAP_LISTEN"] == "[::]:9000"
    assert variables["MODELTAP_ADMIN"] == "[::]:9464"
    assert variables["MODELTAP_HEALTH"] == "[::]:9465"
    for name, path in (
        ("POD_NAME", "metadata.name"),
        ("POD_NAMESPACE", "metadata.namespace"),
        ("POD_UID", "metadata.uid"),
        ("NODE_NAME", "spec.nodeName"),
    ):
        assert variables[name] == {"fieldRef": {"fieldPath": path}}
        assert f"=$({name})" in variables["OTEL_RESOURCE_ATTRIBUTES"]
        order = list(variables)
        assert order.index(name) < order.index("OTEL_RESOURCE_ATTRIBUTES")


def test_variables_are_named_once(chart: Chart) -> None:
    """No ci file gives the container a variable twice: the later one would win without a word."""
    for path in sorted((CHART / "ci").glob("*-values.yaml")):
        found = chart.objects("--values", str(path))
        for each in (each for each in found if each["kind"] == "Deployment"):
            spec = each["spec"]["template"]["spec"]
            for container in [*spec.get("initContainers", []), *spec["containers"]]:
                names = [variable["name"] for variable in container.get("env", [])]
                assert len(names) == len(set(names)), (path.name, names)


def test_payload_log(chart: Chart) -> None:
    """The target and all that belongs to it reach the container, the token as a file; without a target nothing does."""
    container = chart.sidecar(*ci("payload-log"))
    prefix = "MODELTAP_PAYLOAD_LOG_"
    found = {name: value for name, value in env(container).items() if name.startswith(prefix)}
    assert {name.removeprefix(prefix): value for name, value in found.items()} == {
        "TARGET": "https://broker.events:8443/models/default",
        "MODE": "response",
        "SAMPLE": "0.25",
        "NAMESPACE": "$(POD_NAMESPACE)",
        "SERVICE": "fraud",
        "HEADERS": "X-Tenant,X-Region",
        "REDACT": "instances[*].ssn,header:X-Tenant",
        "TOKEN_FILE": "/etc/modeltap/payload-log/token",
    }
    mount = {"name": "modeltap-payload-token", "mountPath": "/etc/modeltap/payload-log", "readOnly": True}
    assert container["volumeMounts"] == [mount]
    volumes = chart.pod(*ci("payload-log"))["spec"]["volumes"]
    assert volumes == [{"name": "modeltap-payload-token", "secret": {"secretName": "broker-token"}}]
    names = [each["name"] for each in container["env"]]
    assert names.index("POD_NAMESPACE") < names.index("MODELTAP_PAYLOAD_LOG_NAMESPACE")
    assert prefix not in str(chart.sidecar("--set", "payloadLog.tokenSecret.name=x"))


def test_write_token(chart: Chart) -> None:
    """A Secret's token is mounted read-only and told to the program, under the key that it has; by default none is."""
    container = chart.sidecar(*ci("write-token"))
    assert env(container)["MODELTAP_WRITE_TOKEN_FILE"] == "/etc/modeltap/write-token/observations"
    mount = {"name": "modeltap-write-token", "mountPath": "/etc/modeltap/write-token", "readOnly": True}
    assert container["volumeMounts"] == [mount]
    volumes = chart.pod(*ci("write-token"))["spec"]["volumes"]
    assert volumes == [{"name": "modeltap-write-token", "secret": {"secretName": "modeltap-writers"}}]
    variables = {name: str(value) for name, value in env(container).items()}
    assert load_config({}, variables).write_token_file == "/etc/modeltap/write-token/observations"
    assert "WRITE_TOKEN" not in str(chart.sidecar()) and "write-token" not in str(chart.pod())


def test_payload_files(chart: Chart) -> None:
    """Files get the one place that can be written, bounded in size; the settings are ones that the sidecar takes."""
    container = chart.sidecar(*ci("payload-files"))
    assert container["volumeMounts"] == [{"name": "modeltap-payloads", "mountPath": "/payloads"}]
    volumes = chart.pod(*ci("payload-files"))["spec"]["volumes"]
    assert volumes == [{"name": "modeltap-payloads", "emptyDir": {"sizeLimit": "2Gi"}}]
    for name in ("payload-files", "payload-log"):
        variables = {name: str(value) for name, value in env(chart.sidecar(*ci(name))).items()}
        assert load_config({}, variables).payload_log_target.startswith(("/payloads/", "https://"))


def test_labels(chart: Chart) -> None:
    """A store, keys and maturity; an address with a password comes from a Secret; without a store nothing is set."""
    variables = {name: str(value) for name, value in env(chart.sidecar(*ci("labels"))).items()}
    found = load_config({}, variables)
    assert found.label_store == "redis://labels.shared:6379/0#fraud"
    assert found.join_keys == ("request_id", "trace_id")
    assert (found.label_rows, found.label_age, found.label_maturity) == (2_000_000, 14, 7)
    secret = env(chart.sidecar(*ci("labels"), "--set", "labels.storeSecret.name=store"))
    assert "store" in str(secret["MODELTAP_LABEL_STORE"]) and "redis:" not in str(secret)
    assert not any("LABEL" in name for name in env(chart.sidecar(*ci("access-log"))))


def test_access_log(chart: Chart) -> None:
    """Off until it has a place; the settings are ones that the sidecar takes."""
    assert not [name for name in env(chart.sidecar()) if name.startswith("MODELTAP_ACCESS_LOG")]
    variables = {name: str(value) for name, value in env(chart.sidecar(*ci("access-log"))).items()}
    found = load_config({}, variables)
    assert (found.access_log, found.access_log_sample) == ("-", 0.25)


def test_otlp(chart: Chart) -> None:
    """OTLP is off until an endpoint is named, then set by the standard variables."""
    assert not [name for name in env(chart.sidecar()) if name.startswith("OTEL_EXPORTER")]
    variables = env(chart.sidecar(*ci("otlp")))
    assert variables["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector.observability:4318"
    assert variables["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
    assert variables["OTEL_SERVICE_NAME"] == "fraud"
    assert "deployment.environment.name=test" in variables["OTEL_RESOURCE_ATTRIBUTES"]


def test_gpu_modes(chart: Chart) -> None:
    """The sidecar never asks for a GPU: hidden by default, seen by variable, or a shared claim."""
    assert env(chart.sidecar())["NVIDIA_VISIBLE_DEVICES"] == "void"
    seen = env(chart.sidecar(*ci("gpu-env")))
    assert (seen["NVIDIA_VISIBLE_DEVICES"], seen["NVIDIA_DRIVER_CAPABILITIES"]) == ("all", "utility")
    claimed = chart.sidecar(*ci("gpu-claim"))
    assert claimed["resources"]["claims"] == [{"name": "gpu"}]
    assert "NVIDIA_VISIBLE_DEVICES" not in env(claimed)
    assert "nvidia.com/gpu" not in str([chart.sidecar(*ci(name)) for name in ("gpu-env", "gpu-claim")])


def test_configuration_is_mounted(chart: Chart) -> None:
    """`config` and a profile become ConfigMaps, mounted read-only and named to the program."""
    found = chart.objects(*ci("config"))
    maps = {each["metadata"]["name"]: each["data"] for each in found if each["kind"] == "ConfigMap"}
    assert yaml.safe_load(maps["demo-modeltap-config"]["modeltap.yaml"]) == {"series_hold": 0}
    assert maps["demo-modeltap-reference"]["profile.json"] == '{"features": []}\n'
    pod = chart.pod(*ci("config"))["spec"]
    assert {each["name"]: each["configMap"]["name"] for each in pod["volumes"]} == {
        "modeltap-config": "demo-modeltap-config",
        "modeltap-reference": "demo-modeltap-reference",
    }
    container = chart.sidecar(*ci("config"))
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}
    variables = env(container)
    assert variables["MODELTAP_CONFIG"] == "/etc/modeltap/config/modeltap.yaml"
    assert variables["MODELTAP_REFERENCE"] == "/etc/modeltap/reference/profile.json"


def test_existing_maps_are_used(chart: Chart) -> None:
    """ConfigMaps of the owner are mounted, and none is made."""
    found = chart.objects(*ci("existing-maps"))
    assert not [each for each in found if each["kind"] == "ConfigMap"]
    volumes = chart.pod(*ci("existing-maps"))["spec"]["volumes"]
    assert [each["configMap"]["name"] for each in volumes] == ["my-config", "my-profile"]
    variables = env(chart.sidecar(*ci("existing-maps")))
    assert variables["MODELTAP_REFERENCE"] == "/etc/modeltap/reference/fraud.json"


def test_change_of_configuration_restarts_pods(chart: Chart) -> None:
    """The pod template changes with the configuration and with nothing else."""

    def digest(*arguments: str) -> str:
        return str(chart.pod(*arguments)["metadata"]["annotations"]["modeltap/config-digest"])

    assert digest() == digest("--set", "podMonitor.enabled=true")
    assert digest() != digest("--set", "config.series_hold=0")
    assert digest() != digest("--set", "reference.profile=x")


def test_scrape_annotations(chart: Chart) -> None:
    """Annotations ask for a scrape unless the PodMonitor does: never both by themselves."""

    def annotations(*sets: str) -> set[str]:
        arguments = [part for each in sets for part in ("--set", each)]
        found = chart.pod(*arguments)["metadata"]["annotations"]
        return {key for key in found if key.startswith("prometheus.io/")}

    assert len(annotations()) == 3
    assert annotations("podMonitor.enabled=true") == set()
    assert len(annotations("podMonitor.enabled=true", "scrapeAnnotations=true")) == 3
    assert annotations("scrapeAnnotations=false") == set()


def test_ports_can_be_kept_undeclared(chart: Chart) -> None:
    """Knative allows ports on one container only."""
    assert [each["name"] for each in chart.sidecar()["ports"]] == ["proxy", "metrics", "health"]
    assert "ports" not in chart.sidecar(*ci("knative"))


def test_service_leads_to_the_sidecar(chart: Chart) -> None:
    """The Service selects the example's pods and targets the sidecar's port by number."""
    found = chart.objects("--set", f"{EXAMPLE},sidecar.ports.proxy=9100")
    (service,) = [each for each in found if each["kind"] == "Service"]
    assert [(each["port"], each["targetPort"]) for each in service["spec"]["ports"]] == [(80, 9100)]
    labels = chart.pod()["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    (deployment,) = [each for each in found if each["kind"] == "Deployment"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_names_fit(chart: Chart) -> None:
    """A release name of the greatest length still gives names and labels within Kubernetes' limits."""
    done = chart.run("template", "r" * 53, str(CHART), "--set", f"{EXAMPLE},config.a=1,reference.profile=x")
    for each in (each for each in yaml.safe_load_all(done.stdout) if each):
        labels = each["metadata"]["labels"].values()
        assert len(each["metadata"]["name"]) <= 63
        assert all(len(value) <= 63 for value in labels)
