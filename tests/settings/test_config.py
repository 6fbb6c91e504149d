"""config.py: settings from flags, environment and file, and every problem at once."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exporter.proxy.settings import Upstream
from exporter.records.custom import Custom
from exporter.settings.config import (
    Config,
    ConfigError,
    load,
    owner_paths,
    proxy_settings,
    tracing_configured,
)
from exporter.settings.options import SETTINGS, Setting
from exporter.settings.values import split_address

UPSTREAM = "http://127.0.0.1:8080"
# Three values for each setting that differ from each other and from the default.
VALUES: dict[str, tuple[str, str, str]] = {
    "upstream": ("http://a", "http://b:1", "http://[::1]:2"),
    "listen": ("a:1", ":2", "[::1]:3"),
    "admin": ("a:1", ":2", "[::1]:3"),
    "health": ("a:1", ":2", "[::1]:3"),
    "web_config": ("a.yml", "b.yml", "c.yml"),
    "write_token_file": ("a", "b", "c"),
    "workers": ("2", "3", "4"),
    "reference": ("a", "b,c", "d"),
    "model_name": ("a", "1.10", "no"),
    "model_version": ("a", "1.10", "true"),
    "protocol": ("mlflow", "/a=kserve_v1,sagemaker", "/b/{model_name}=torchserve"),
    "custom": (
        '{"path": "/a", "inputs": "x"}',
        '[{"path": "/b", "class": "y"}, {"path": "/c", "score": "z", "output_names": ["a", "b"]}]',
        "[]",
    ),
    "task": ("binary", "interval", "TEXT"),
    "positive_class": ("yes", "1", "a b"),
    "threshold": ("0.1", "0.9", "1"),
    "lower_output": ("low", "a", "b"),
    "upper_output": ("high", "a", "b"),
    "missing_values": ("-999", "-1,unknown", "?"),
    "id_columns": ("id", "a,b", "c"),
    "time_column": ("a", "b", "c"),
    "time_unit": ("s", "ms", "ns"),
    "rules": (
        '[{"name": "a", "column": "x", "range": [0, 1]}]',
        '[{"name": "b", "check": "x <= output.y"}, {"name": "c", "column": "x", "not_null": true}]',
        '[{"name": "d", "column": "x", "set": ["1", "2"]}]',
    ),
    "thresholds": (
        '[{"name": "a", "value": 0.5}]',
        '[{"name": "b", "value": 1, "band": 0, "output": "y"}, {"name": "c", "value": 2, "class": "1", "model": "m"}]',
        "[]",
    ),
    "join_keys": ("column", "trace_id,dialect", "request_id"),
    "label_store": ("memory", "sqlite:/a.db", "redis://h:1/2#fraud"),
    "label_groups": ("sex=F|M", "sex=F|M,age<=25|45", "plan=a"),
    "label_receipts": ("/a", "b", "/c"),
    "label_rows": ("1", "2", "3"),
    "label_age": ("1", "2", "3.5"),
    "label_sample": ("0.1", "0.2", "0.3"),
    "label_maturity": ("1", "2", "3.5"),
    "label_unlabelled": ("0", "good", "no"),
    "label_costs": ('{"1": {"0": 250}}', '{"a": {"b": 1, "a": -2}}', '{"0": {"1": 0.5}}'),
    "kpis": (
        '[{"name": "a", "value": "right / labelled", "target": 0.9}]',
        '[{"name": "b", "value": "cost", "target": 1, "direction": "below"}]',
        '[{"name": "c", "value": "outcome.x / told.x", "target": 1, "owner": "sales", "days": 30}]',
    ),
    "label_requests": ("0.1", "0.2", "0.3"),
    "label_requests_uncertain": ("0.1", "0.2", "0.3"),
    "label_requests_band": ("0.2", "0.3", "0.4"),
    "warm_up": ("1", "2", "3"),
    "warm_up_header": ("x-a", "x-b", "X-C"),
    "ignore_header": ("x-a", "x-b", "X-C"),
    "role_header": ("x-a", "x-b", "X-C"),
    "max_concurrency": ("1", "2", "3"),
    "max_queue": ("1", "2", "3"),
    "capture_bytes": ("1", "2", "3"),
    "capture_total": ("1", "2", "3"),
    "latency_buckets": ("0.1", "0.1,0.2", "1,2,3"),
    "windows": ("60", "60,120", "300"),
    "series_budget": ("0", "1", "2"),
    "hash_key": ("/a", "b", "/c"),
    "learn_file": ("/a", "b", "/c"),
    "learn_rows": ("100", "101", "102"),
    "learn_hours": ("1", "0", "48"),
    "state_dir": ("/a", "b", "/c"),
    "drift_effects": ("psi=0.2", "psi=0,hellinger=1e-1", "wasserstein=3"),
    "tick_interval": ("1", "2", "3"),
    "series_hold": ("1", "2", "0"),
    "connect_timeout": ("2", "3", "4"),
    "upstream_source": ("loopback", "client", "loopback"),
    "drain_quiet": ("1", "2", "3"),
    "grace": ("1", "2", "3"),
    "restart": ("never", "always", "ALWAYS"),
    "restart_limit": ("1", "2", "3"),
    "restart_delay": ("1", "0.5", "0"),
    "stop_signal": ("INT", "SIGQUIT", "usr1"),
    "death_signal": ("KILL", "SIGINT", "hup"),
    "probe_path": ("/a", "/b?x=1", "/c"),
    "probe_interval": ("1", "2", "3"),
    "probe_seconds": ("0.5", "1", "2"),
    "descriptions": ("/a", f"/b=sha256:{'0' * 64},/c", "/d"),
    "model_owner": ("a", "b", "c d"),
    "model_team": ("a", "b", "c d"),
    "artifacts": ("/a", f"/b=sha256:{'0' * 64},/c/*.onnx", f"/d=sha256:{'A' * 64}"),
    "artifact_sums": ("/a", "/b,/c", "/d"),
    "artifact_interval": ("60", "61", "3600"),
    "artifact_rate": ("65536", "65537", "1000000"),
    "stable_after": ("0", "10", "20"),
    "ready_within": ("1", "60", "600"),
    "analysis_cpu": ("0.1", "0.2", "0.3"),
    "analysis_memory": ("1", "2", "3"),
    "log_level": ("debug", "warning", "ERROR"),
    "late_spans": ("1", "2", "3"),
    "log_format": ("text", "json", "text"),
    "forward": (":1=http://a", ":1=unix:/b,unix:/a=tcp://b:2", "[::1]:3=https://c"),
    "mode": ("observe", "gate", "STRICT"),
    "queue_timeout": ("1", "2", "0.5"),
    "shed_status": ("429", "503", "429"),
    "max_connections": ("1", "2", "3"),
    "header_timeout": ("1", "2", "0"),
    "idle_timeout": ("1", "2", "3"),
    "half_closed_timeout": ("1", "2", "3"),
    "write_timeout": ("1", "2", "0"),
    "tunnel_timeout": ("1", "2", "0"),
    "proxy_protocol": ("true", "false", "True"),
    "forwarded_for": ("true", "false", "TRUE"),
    "include_usage": ("true", "false", "TRUE"),
    "tls_cert": ("a", "b", "c"),
    "tls_key": ("a", "b", "c"),
    "tls_client_ca": ("a", "b", "c"),
    "tls_client_auth": ("optional", "none", "required"),
    "upstream_ca": ("a", "b", "c"),
    "upstream_cert": ("a", "b", "c"),
    "upstream_key": ("a", "b", "c"),
    "upstream_name": ("a", "b", "c"),
    "upstream_verify": ("false", "true", "False"),
    "final_scrape_wait": ("1", "2", "3"),
    "access_log": ("stdout", "/a", "-"),
    "access_log_sample": ("0", "0.5", "0.25"),
    "access_log_bytes": ("0", "1", "2"),
    "payload_log_target": ("http://a/x?y=1", "/b", "/c/d.jsonl"),
    "payload_log_mode": ("request", "response", "ALL"),
    "payload_log_sample": ("0", "0.5", "0.25"),
    "payload_log_errors": ("false", "true", "False"),
    "payload_log_headers": ("a", "X-B,c", "D"),
    "payload_log_redact": ("a", "request:**.b,header:c", "d[?e=='f'].g"),
    "payload_log_plain": ("false", "true", "False"),
    "payload_log_queue": ("65536", "65537", "65538"),
    "payload_log_drop": ("oldest", "newest", "OLDEST"),
    "payload_log_retries": ("1", "2", "0"),
    "payload_log_seconds": ("1", "2", "3"),
    "payload_log_concurrency": ("1", "2", "3"),
    "payload_log_ca": ("a", "b", "c"),
    "payload_log_token_file": ("a", "b", "c"),
    "payload_log_source": ("a", "b", "c"),
    "payload_log_service": ("a", "b", "c"),
    "payload_log_namespace": ("a", "b", "c"),
    "payload_log_component": ("a", "b", "c"),
    "payload_log_endpoint": ("a", "b", "c"),
    "payload_log_file_bytes": ("4096", "4097", "4098"),
    "payload_log_file_seconds": ("1", "2", "3"),
    "payload_log_files": ("1", "2", "3"),
    "payload_log_gzip": ("true", "false", "True"),
    "upstream_metrics": ("/a", ":8002", "https://a:1/b?c"),
    "upstream_metrics_interval": ("1", "2", "0.5"),
    "include_upstream": ("true", "false", "True"),
}
# What a setting cannot do without.
NEEDS = {
    "lower_output": {"upper_output": "u"},
    "upper_output": {"lower_output": "l"},
    "tls_cert": {"tls_key": "k"},
    "tls_key": {"tls_cert": "c"},
    "tls_client_auth": {"tls_client_ca": "a"},
    "upstream_cert": {"upstream_key": "k"},
    "upstream_key": {"upstream_cert": "c"},
    "payload_log_token_file": {"payload_log_target": "https://a"},
    "label_receipts": {"label_store": "memory"},
}


def write(folder: Path, text: str) -> str:
    path = folder / "modeltap.yaml"
    path.write_text(text)
    return str(path)


def problems(flags: dict[str, Any], environ: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(flags, environ or {})
    return caught.value.problems


def test_every_field_has_a_setting_and_every_setting_a_field() -> None:
    """Config and SETTINGS name the same things."""
    fields = set(Config.__struct_fields__)
    assert {setting.key for setting in SETTINGS} == fields == set(VALUES)
    assert len(SETTINGS) == len(fields)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_flags_beat_environment_beats_file_beats_default(setting: Setting, tmp_path: Path) -> None:
    """For every setting the stronger source wins, and each source is read in the same way."""
    in_file, in_environment, flag = VALUES[setting.key]
    base = {} if setting.key == "upstream" else {"upstream": UPSTREAM, **NEEDS.get(setting.key, {})}
    file = write(tmp_path, f"{setting.key}: {in_file}\n")
    by_file = load({**base, "config": file}, {})
    by_environment = load({**base, "config": file}, {setting.variable: in_environment})
    given: Any = [flag] if setting.repeat else flag
    by_flag = load({**base, "config": file, setting.key: given}, {setting.variable: in_environment})
    got = [getattr(config, setting.key) for config in (by_file, by_environment, by_flag)]
    assert got == [setting.parse(in_file), setting.parse(in_environment), setting.parse(given)]
    if base:
        assert getattr(load({"upstream": UPSTREAM}, {}), setting.key) == getattr(
            Config(upstream=UPSTREAM), setting.key
        )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"mode": "annotate", "max_concurrency": "1"}, "--mode annotate: never refuses"),
        ({"mode": "observe", "max_concurrency": "1"}, "--mode observe: never refuses"),
        ({"mode": "observe", "forwarded_for": "true"}, "--mode observe: changes nothing"),
        ({"mode": "observe", "include_usage": "true"}, "--mode observe: changes nothing"),
        ({"tls_cert": "c"}, "--tls-cert and --tls-key: expected both or neither"),
        ({"upstream_key": "k"}, "--upstream-cert and --upstream-key: expected both or neither"),
        ({"lower_output": "low"}, "--lower-output and --upper-output: expected both or neither"),
        ({"tls_client_auth": "required"}, "--tls-client-auth: expected --tls-client-ca"),
        ({"label_receipts": "k"}, "--label-receipts: expected --label-store"),
        (
            {"payload_log_token_file": "t", "payload_log_target": "http://a"},
            "--payload-log-token-file: expected --payload-log-target https://…",
        ),
    ],
)
def test_settings_that_contradict_each_other(given: dict[str, str], expected: str) -> None:
    """What each setting allows and all together do not is told with what was expected."""
    (found,) = problems({"upstream": UPSTREAM, **given})
    assert found.startswith(expected)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_default_told_by_the_help_is_the_default(setting: Setting) -> None:
    """Where a help text names a default, parsing it gives Config's."""
    told = re.search(r"\(default ([^ )]+)\)", setting.help)
    if told is not None:
        assert setting.parse(told[1]) == getattr(Config(upstream=UPSTREAM), setting.key)


def test_settings_survive_the_way_to_another_process() -> None:
    """A Config turned into plain values and back is the same."""
    config = load({"upstream": UPSTREAM, "reference": ["a", "b"]}, {})
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(config)), Config) == config


CUSTOM = {"path": "/a/{model_name}", "inputs": "rows", "input_names": ["x", "y"], "class": "label"}


def test_custom_dialects_survive_the_way_to_another_process() -> None:
    """What the owner describes is the same in every process, and its paths go before the table's."""
    config = load({"upstream": UPSTREAM, "custom": json.dumps(CUSTOM), "protocol": ["sagemaker"]}, {})
    assert config.custom == (
        Custom("/a/{model_name}", inputs="rows", input_names=("x", "y"), class_="label"),
    )
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(config)), Config) == config
    paths = (("/a/{model_name}", "custom"), ("/invocations", "sagemaker"))
    assert proxy_settings(config, {}).paths == paths == owner_paths(config)


def test_custom_in_a_file(tmp_path: Path) -> None:
    """A mapping or a list of them, written as YAML."""
    text = "custom:\n  path: /a\n  inputs: rows\n  input_names: [x, y]\n"
    whole = load({"upstream": UPSTREAM, "config": write(tmp_path, text)}, {}).custom
    assert whole == (Custom("/a", inputs="rows", input_names=("x", "y")),)
    text = "custom:\n- {path: /a, class: y}\n- path: /b\n  score: '[0]'\n"
    listed = load({"upstream": UPSTREAM, "config": write(tmp_path, text)}, {}).custom
    assert listed == (Custom("/a", class_="y"), Custom("/b", score="[0]"))


def test_all_problems_of_custom_dialects_are_told(tmp_path: Path) -> None:
    """Each with file, place in the list, key, value and expectation, beside those of other settings."""
    text = "workers: 0\ncustom:\n- {path: score, inputs: 'rows['}\n- {path: /a, clas: y}\n- {path: /b, score: x}\n"
    file = write(tmp_path, text)
    told = problems({"upstream": UPSTREAM, "config": file})
    starts = (
        f"{file}: workers: '0'",
        f"{file}: custom[0]: path: 'score', expected a path that begins with /",
        f"{file}: custom[0]: inputs: 'rows[', expected a JMESPath expression",
        f"{file}: custom[1]: clas: unknown key",
        f"{file}: custom[1]: no table is picked",
    )
    assert len(told) == len(starts)
    for start in starts:
        assert sum(problem.startswith(start) for problem in told) == 1, start


@pytest.mark.parametrize(
    "given",
    [
        {"custom": json.dumps([CUSTOM, CUSTOM | {"class": "b"}])},
        {"protocol": ["mlflow", "/invocations=sagemaker"]},
        {"custom": json.dumps(CUSTOM), "protocol": [f"{CUSTOM['path']}=kserve_v1"]},
    ],
)
def test_one_dialect_for_each_path(given: dict[str, Any]) -> None:
    """Two that are told for one path cannot both be read there."""
    (found,) = problems({"upstream": UPSTREAM, **given})
    assert found.startswith("--custom and --protocol: ") and "is told 2 times" in found


def test_variables_of_kubernetes_are_not_ours() -> None:
    """A Service named modeltap breaks nothing, and no setting looks like what Kubernetes injects."""
    injected = {
        "MODELTAP_PORT": "tcp://10.0.0.1:9000",
        "MODELTAP_SERVICE_HOST": "10.0.0.1",
        "MODELTAP_SERVICE_PORT": "9000",
        "MODELTAP_SERVICE_PORT_PROXY": "9000",
        "MODELTAP_PORT_9000_TCP": "tcp://10.0.0.1:9000",
        "MODELTAP_PORT_9000_TCP_ADDR": "10.0.0.1",
        "MODELTAP_PORT_9000_TCP_PORT": "9000",
        "MODELTAP_PORT_9000_TCP_PROTO": "tcp",
        "MODELTAP_ADMIN_SERVICE_HOST": "10.0.0.2",
        "MODELTAP_ADMIN_PORT": "tcp://10.0.0.2:9464",
        "MODELTAP_ANYTHING": "x",
    }
    assert load({"upstream": UPSTREAM}, injected) == Config(upstream=UPSTREAM)
    shape = re.compile(r".*_(SERVICE_(HOST|PORT)(_.*)?|PORT(_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)?)")
    assert not [setting.variable for setting in SETTINGS if shape.fullmatch(setting.variable)]


def test_empty_variable_is_not_set() -> None:
    """An empty variable is as good as none, so that a chart may leave values empty."""
    assert load({"upstream": UPSTREAM}, {"MODELTAP_WORKERS": "", "MODELTAP_CONFIG": ""}).workers == 1


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    """File, environment, flags and OpenTelemetry variables: each problem has place, value and expectation."""
    file = write(tmp_path, "workers: true\nlatency_bucket: 1\ngrace: [1]\nmodel_name: {a: b}\n")
    environ = {
        "MODELTAP_WINDOWS": "300,60",
        "OTEL_TRACES_SAMPLER": "sometimes",
        "OTEL_TRACES_SAMPLER_ARG": "2",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "soap",
    }
    told = "\n".join(problems({"config": file, "listen": "9000"}, environ))
    for expected in (
        f"{file}: latency_bucket: unknown setting; expected latency_buckets",
        f"{file}: workers: 'true': expected a whole number from 1 to 64",
        f"{file}: grace: ['1']: expected a number",
        f"{file}: model_name: {{'a': 'b'}}: expected text",
        "MODELTAP_WINDOWS: '300,60': expected 1 to 8 rising numbers",
        "--listen: '9000': expected HOST:PORT",
        "--upstream (MODELTAP_UPSTREAM, upstream): missing; expected http://",
        "OTEL_TRACES_SAMPLER: 'sometimes': expected one of",
        "OTEL_TRACES_SAMPLER_ARG: '2': expected a number from 0 to 1",
        "OTLP protocol for metrics 'soap': expected grpc",
    ):
        assert expected in told


def test_file_is_read_as_it_is_written(tmp_path: Path) -> None:
    """YAML turns 1.10 into 1.1 and no into false; here a version is what the file says."""
    text = 'upstream: "http://h:1"\nmodel_version: 1.10\nmodel_name: no\nworkers: "2"\nadmin:\nhealth: null\n'
    config = load({"config": write(tmp_path, text)}, {})
    assert (config.model_version, config.model_name, config.workers) == ("1.10", "no", 2)
    assert (config.admin, config.health) == ("[::]:9464", "[::]:9465")


def test_lists_in_a_file(tmp_path: Path) -> None:
    """Lists are written as lists or as on the command line."""
    text = "latency_buckets: [0.1, 2]\nwindows: 60,120\nreference: [a, b]\n"
    config = load({"upstream": UPSTREAM, "config": write(tmp_path, text)}, {})
    assert (config.latency_buckets, config.windows) == ((0.1, 2.0), (60.0, 120.0))
    assert config.reference == ("a", "b")


def test_empty_file_sets_nothing(tmp_path: Path) -> None:
    """An empty file, or one of comments, is no mistake."""
    for text in ("", "# nothing\n", "---\n"):
        assert load({"upstream": UPSTREAM, "config": write(tmp_path, text)}, {}) == Config(upstream=UPSTREAM)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a\n- b\n", "expected a mapping of settings, found list"),
        ("just text", "expected a mapping of settings, found str"),
        ("a: [", "not YAML"),
        ("a: &x [*x]", "unknown setting"),
        ("\0", "not YAML"),
        ("!!python/object/apply:os.getcwd []", "not YAML"),
    ],
)
def test_file_that_holds_no_settings(text: str, expected: str, tmp_path: Path) -> None:
    """What is not a mapping of settings is told with the file's name."""
    file = write(tmp_path, text)
    (problem,) = problems({"upstream": UPSTREAM, "config": file})
    assert problem.startswith(f"{file}: ")
    assert expected in problem


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, a folder and bytes that are no UTF-8 are told apart."""
    (problem,) = problems({"upstream": UPSTREAM, "config": str(tmp_path / "none.yaml")})
    assert "No such file" in problem
    (problem,) = problems({"upstream": UPSTREAM}, {"MODELTAP_CONFIG": str(tmp_path)})
    assert "directory" in problem
    (tmp_path / "latin.yaml").write_bytes(b"model_name: \xe9")
    (problem,) = problems({"upstream": UPSTREAM, "config": str(tmp_path / "latin.yaml")})
    assert "not YAML" in problem


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(
            ("upstream", value)
            for value in (
                "",
                "h:1",
                "ftp://h",
                "tcp://h",
                "unix:a",
                "unix:///" + "a" * 108,
                "http://",
                "http://h:0",
                "http://h:x",
            )
        ),
        *(("upstream", value) for value in ("http://h:99999", "http://h/p", "http://h?q", "http://h#f")),
        *(("upstream", value) for value in ("http://u:p@h", "http://[::1", "http://a b", "http://h:", True)),
        *(
            ("listen", value)
            for value in ("", "h", "h:", "h:x", "h:65536", "::1:80", "[h]:80", "h:٣", "a b:1")
        ),
        *(("workers", value) for value in ("0", "65", "1.5", "", "one", "nan", True, [1], 10**400)),
        *(("grace", value) for value in ("nan", "inf", "-1", "", "1e400", False)),
        *(("latency_buckets", value) for value in ("", "1,1", "2,1", "0,1", "-1", "nan", "1,inf", "a", 5)),
        *(("latency_buckets", value) for value in (",".join(map(str, range(1, 70))), [True], [])),
        *(("windows", value) for value in ("0.1", "1,2,3,4,5,6,7,8,9")),
        *(
            ("drift_effects", value)
            for value in ("psi", "psi=", "psi=-1", "psi=1,psi=2", "p=1", {"psi": "x"}, 5)
        ),
        *(("reference", value) for value in ("", "a,,b", [""], [1], 5)),
        *(("log_level", value) for value in ("loud", "", 5, ["info"])),
        *(("probe_path", value) for value in ("ready", "/a b", "/é", "/a\n")),
        *(("protocol", value) for value in ("grpc", "", "/a=x", "a=mlflow", "/{x}=mlflow", 5, ["mlflow", 1])),
        *(("custom", value) for value in ("", "{", "5", '["a"]', 5, [5], "[" * 100_000, [{}] * 17)),
        *(("model_name", value) for value in ("x" * 129, "a\nb", 1.5, ["a"])),
        *(("task", value) for value in ("", "unknown", "classify", 1)),
        *(("threshold", value) for value in ("-0.1", "1.1", "nan", "")),
        *(("id_columns", value) for value in ("a,,b", "a,a", 5, [1.5], ["a\nb"], [""])),
        *(("join_keys", value) for value in ("id", "column,column", "", {"a": 1})),
        *(("ignore_header", value) for value in ("a b", "x:", "é", "x" * 129)),
    ],
)
def test_value_that_is_not_what_was_expected(key: str, value: Any) -> None:
    """It is refused with flag, value and expectation, whatever it is."""
    given = {"upstream": UPSTREAM, key: value}
    (problem,) = problems(given)
    assert problem.startswith(f"--{key.replace('_', '-')}: {value!r}: expected ")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("[::]:9000", ("::", 9000)),
        (":80", ("", 80)),
        ("localhost:0", ("localhost", 0)),
        ("1.2.3.4:5", ("1.2.3.4", 5)),
    ],
)
def test_addresses_are_split(address: str, expected: tuple[str, int]) -> None:
    """Hosts lose their brackets; an empty host stands for all."""
    assert split_address(address) == expected


def test_limit_needs_one_worker() -> None:
    """A limit that several workers would each apply is refused."""
    (problem,) = problems({"upstream": UPSTREAM, "workers": "2", "max_concurrency": "4"})
    assert "expected --workers 1" in problem


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "console"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_traces_are_made_only_where_they_are_sent(environ: dict[str, str], expected: bool) -> None:
    """The data plane touches trace headers exactly when spans have a target."""
    assert tracing_configured(environ) is expected
    assert proxy_settings(Config(upstream=UPSTREAM), environ).tracing is expected


def test_data_plane_gets_the_settings_that_it_shares() -> None:
    """Every setting of the data plane that has the name of ours has our value."""
    config = load(
        {"upstream": "http://[::1]:2", "grace": "3", "max_queue": "7", "latency_buckets": "1,2"}, {}
    )
    settings = proxy_settings(config, {"OTEL_TRACES_SAMPLER": "always_on", "OTEL_TRACES_SAMPLER_ARG": "0.5"})
    for name in set(settings.__struct_fields__) & set(Config.__struct_fields__) - {"mode"}:
        assert getattr(settings, name) == getattr(config, name)
    assert settings.upstreams == (Upstream(host="::1", port=2),)
    assert (settings.sampler, settings.sampler_ratio) == ("always_on", 0.5)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a", Upstream(host="a", port=80)),
        ("https://a", Upstream(host="a", port=443, tls=True)),
        ("https://[::1]:8443", Upstream(host="::1", port=8443, tls=True)),
        ("unix:///run/model.sock", Upstream(path="/run/model.sock")),
        ("unix:/run/model.sock", Upstream(path="/run/model.sock")),
        ("tcp://a:5000", Upstream(host="a", port=5000, opaque=True)),
    ],
)
def test_upstreams_by_their_scheme(url: str, expected: Upstream) -> None:
    """http, https, unix and tcp: each says how the model is reached and whether it is followed."""
    config = load({"upstream": url, "forward": [":1=" + url]}, {})
    assert proxy_settings(config, {}).upstreams == (expected, expected)


@pytest.mark.parametrize(("limit", "mode"), [("0", "annotate"), ("3", "gate")])
def test_limit_is_a_promise(limit: str, mode: str) -> None:
    """With a limit the default mode is the one that fails closed."""
    config = load({"upstream": UPSTREAM, "max_concurrency": limit}, {})
    assert proxy_settings(config, {}).mode == mode


@pytest.fixture(scope="module")
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The real command, with a clean environment."""

    def call(*arguments: str, code: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        command = ["-c", code] if code else ["-m", "exporter", *arguments]
        return subprocess.run(
            [sys.executable, *command], env=environ, capture_output=True, text=True, timeout=30, check=False
        )

    return call


def test_command_ends_with_2_and_every_problem(run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """`modeltap run` tells all problems on stderr, one per line, and ends with exit status 2."""
    ended = run("run", "--workers", "0", OTEL_METRIC_EXPORT_INTERVAL="soon", MODELTAP_GRACE="never")
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 4
    assert all(line.startswith("modeltap: ") for line in ended.stderr.splitlines())


def test_reading_settings_imports_nothing_heavy(run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """Not even with OTLP configured does reading settings import an SDK, gRPC, numpy, aiohttp or YAML."""
    code = (
        "import sys; from exporter.settings.config import load; load({'upstream': 'http://h:1'})\n"
        "heavy = {'opentelemetry', 'grpc', 'numpy', 'aiohttp', 'yaml', 'prometheus_client'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    ended = run(code=code, OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4317")
    assert ended.returncode == 0, ended.stderr
