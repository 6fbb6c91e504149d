"""What the pictures show: the demo with labels, a wrapped language model, batch jobs, and Prometheus with our rules.

It knows what runs and how it is scraped, no dashboard. Invariant: whichever way the block is left, nothing runs on.
"""

import hashlib
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from exporter.demo import data
from tests.e2e.processes import LOOPBACK, free_ports
from tests.environments.tools import tools
from tests.pictures import batch, clients, devices
from tests.pictures.stage import ROOT, beside, python, started, told
from tests.receivers.otlp import OtlpReceiver

SCRAPE_SECONDS = 10
# Whoever draws pictures may have little to spare.
PATIENT: Mapping[str, Any] = {"probe_seconds": 5, "analysis_cpu": 1}
# Of the demo's sidecar, besides what the demo says itself. Labels are mature after a minute and a half, in days.
HOUSING: Mapping[str, Any] = {
    **{"label_store": "memory", "label_maturity": 0.001, "role_header": clients.ROLE},
    **{"label_groups": "HouseAge<=20|35", "label_requests": 0.05, "label_requests_uncertain": 0.2},
    "label_costs": {1: {0: 40, 1: -10}, 0: {1: 15}},
    "kpis": [
        {
            **{"name": "revenue_per_row", "value": "outcome.revenue / told.revenue", "target": 22.0},
            **{"owner": "sales", "direction": "above", "days": 1},
        }
    ],
    "thresholds": [{"name": "review", "value": 0.5, "band": 0.1}, {"name": "offer", "value": 0.8}],
    "rules": [
        {"name": "age_range", "column": "HouseAge", "range": [1, 50]},
        {"name": "crowded", "column": "Population", "range": [None, 4000]},
    ],
    **{"payload_log_sample": 0.2, "task": "binary", "positive_class": 1, "late_spans": 2},
    **PATIENT,
}
DESCRIPTION: Mapping[str, Any] = {
    **{"schema": "modeltap.description/1", "name": "housing", "version": "1"},
    **{"owner": "ada@example.org", "team": "pricing", "run_id": "c4f1a9"},
    "hyperparameters": {"trees": 60, "leaf_rows": 3},
    "training": {"seed": 0},
}


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[str]:
    """The address of Prometheus, once everything runs."""
    prometheus, pushgateway = free_ports(2)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        proxy, metrics = await _housing(stack, folder)
        llama, admin = await _llama(stack, folder)
        gateway = await batch.jobs(stack, folder, pushgateway, LOOPBACK)
        targets = {"housing-0": metrics.removeprefix("http://"), "llama-0": admin}
        command = _prometheus(folder, prometheus, targets, gateway.removeprefix("http://"))
        await started(stack, folder / "prometheus.log", command)
        beside(
            stack,
            devices.play(folder),
            clients.label(http, proxy, metrics),
            *(clients.ask(http, llama, seed) for seed in range(clients.STREAMS)),
            *(batch.repeated(folder, gateway, job) for job in batch.JOBS),
        )
        yield f"http://{LOOPBACK}:{prometheus}"


async def _housing(stack: AsyncExitStack, folder: Path) -> tuple[str, str]:
    """The demo; where its sidecar listens, and where its admin side is."""
    names = ("modeltap.json", "housing.yaml", "state", "training.csv")
    described, settings, state, rows = (folder / name for name in names)
    state.mkdir()
    shutil.copy(data.find_directory() / data.TRAINING_FILE, rows)
    digest = hashlib.sha256(rows.read_bytes()).hexdigest()
    files = [{"path": rows.name, "digest": f"sha256:{digest}"}]
    described.write_text(json.dumps({**DESCRIPTION, "artifacts": files}))
    paths = {
        **{"state_dir": str(state), "descriptions": [str(described)]},
        **{"artifacts": [str(settings)]},
        **{"access_log": str(folder / "access.jsonl"), "payload_log_target": str(folder / "payloads.jsonl")},
    }
    settings.write_text(yaml.safe_dump({**HOUSING, **paths}))
    receiver = stack.enter_context(OtlpReceiver())
    otlp = {"ENDPOINT": receiver.http_endpoint, "PROTOCOL": "http/protobuf"}
    environment = {f"OTEL_EXPORTER_OTLP_{key}": value for key, value in otlp.items()}
    environment["MODELTAP_CONFIG"] = str(settings)
    log = await started(stack, folder / "demo.log", python("exporter", "demo", "--plain"), environment)
    proxy, metrics = await told(log, r"sidecar in front of it (\S+)\nmetrics (\S+)/metrics")
    return proxy, metrics


async def _llama(stack: AsyncExitStack, folder: Path) -> tuple[str, str]:
    """A language model that a sidecar wraps, beside two GPUs; where it listens, and the admin side's host and port."""
    llm, listen, admin, health = free_ports(4)
    ports = {"listen": listen, "admin": admin, "health": health}
    flags = [word for name, port in ports.items() for word in (f"--{name}", f"{LOOPBACK}:{port}")]
    flags += ["--upstream", f"http://{LOOPBACK}:{llm}", "--probe-path", "/health", "--max-concurrency", "8"]
    flags += ["--upstream-metrics", "/metrics", "--upstream-metrics-interval", "5"]
    flags += [word for key, value in PATIENT.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    model = python("tests.pictures.vllm", str(llm))
    command = [*python("exporter", "wrap", *flags), "--", *model]
    (folder / "driver.txt").write_text("")
    await started(stack, folder / "llama.log", command, devices.environment(folder))
    return f"http://{LOOPBACK}:{listen}", f"{LOOPBACK}:{admin}"


def _prometheus(folder: Path, port: int, targets: Mapping[str, str], gateway: str) -> list[str]:
    rules = [
        str(path)
        for path in sorted((ROOT / "alert_rules").glob("*.yaml"))
        if path.name not in ("alertmanager.yaml", "values.yaml")
    ]
    static = [
        {"targets": [address], "labels": {"namespace": "models", "pod": pod}}
        for pod, address in targets.items()
    ]
    name = {"source_labels": ["pod"], "target_label": "instance"}
    sidecars = {"job_name": "modeltap", "static_configs": static, "relabel_configs": [name]}
    jobs = {"job_name": "jobs", "honor_labels": True, "static_configs": [{"targets": [gateway]}]}
    every = f"{SCRAPE_SECONDS}s"
    configuration = {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": rules,
        "scrape_configs": [sidecars, jobs],
    }
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration))
    return [
        *(str(tools() / "prometheus"), f"--config.file={file}", f"--storage.tsdb.path={folder / 'tsdb'}"),
        *(f"--web.listen-address={LOOPBACK}:{port}", "--enable-feature=exemplar-storage", "--log.level=warn"),
    ]
