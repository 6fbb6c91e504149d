"""What the pictures show: the demo with labels, a language model, and Prometheus with the rules that we ship.

It knows what runs and how it is scraped, no dashboard. Invariant: whichever way the block is left, nothing runs on.
"""

import asyncio
import itertools
import os
import random
import re
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import yaml

from exporter.demo import data
from exporter.demo.model import NAME
from exporter.demo.traffic import Replay, v2_named
from tests.e2e.processes import LOOPBACK, free_ports
from tests.environments.tools import tools

ROOT = Path(__file__).resolve().parents[2]
INFER = f"/v2/models/{NAME}/infer"
# Labels are mature after a minute and a half, in days.
SETTINGS = {"MODELTAP_LABEL_STORE": "memory", "MODELTAP_LABEL_MATURITY": "0.001", "PYTHONUNBUFFERED": "1"}
LABEL_SECONDS = 0.3
READY_SECONDS = 120
SCRAPE_SECONDS = 10
# Streams at a time, and the bounds of what they ask for.
STREAMS = 4
TOKENS = (5, 120)
PAUSES_MS = (4, 30)


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[str]:
    """The address of Prometheus, once everything runs."""
    llm, listen, admin, health, prometheus = free_ports(5)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        demo = await _started(stack, folder / "demo.log", _python("exporter", "demo", "--plain"))
        proxy, metrics = await _told(demo, r"sidecar in front of it (\S+)\nmetrics (\S+)/metrics")
        await _started(stack, folder / "llm.log", _python("tests.e2e.llm_server", str(llm)))
        ports = {"upstream": llm, "listen": listen, "admin": admin, "health": health}
        flags = [
            word
            for name, port in ports.items()
            for word in (f"--{name}", f"{'http://' if name == 'upstream' else ''}{LOOPBACK}:{port}")
        ]
        await _started(stack, folder / "sidecar.log", _python("exporter", "run", *flags))
        targets = {"housing-0": metrics.removeprefix("http://"), "llama-0": f"{LOOPBACK}:{admin}"}
        command = _prometheus(folder, prometheus, targets)
        await _started(stack, folder / "prometheus.log", command)
        tasks = [asyncio.create_task(_label(http, proxy, metrics))]
        tasks += [
            asyncio.create_task(_ask(http, f"http://{LOOPBACK}:{listen}", seed)) for seed in range(STREAMS)
        ]
        stack.push_async_callback(_ended, tasks)
        yield f"http://{LOOPBACK}:{prometheus}"


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


async def _started(stack: AsyncExitStack, log: Path, command: Sequence[str]) -> Path:
    """A process that ends with the block; where its output goes."""
    # Whatever ends this process ends the scene with it.
    bound = ["setpriv", "--pdeathsig", "TERM", "--", *command]
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *bound, stdout=file, stderr=file, cwd=ROOT, env={**os.environ, **SETTINGS}
        )

    async def end() -> None:
        if process.returncode is None:
            process.terminate()
        await process.wait()

    stack.push_async_callback(end)
    return log


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _told(log: Path, pattern: str) -> tuple[str, ...]:
    """The groups of `pattern` in a log, once they are there; TimeoutError with the log's end."""
    for _ in range(READY_SECONDS * 10):
        found = re.search(pattern, log.read_text(errors="replace"))
        if found:
            return found.groups()
        await asyncio.sleep(0.1)
    raise TimeoutError(f"{log}: {log.read_text(errors='replace')[-2000:]}")


def _prometheus(folder: Path, port: int, targets: Mapping[str, str]) -> list[str]:
    rules = [
        str(path)
        for path in sorted((ROOT / "alert_rules").glob("*.yaml"))
        if path.name != "alertmanager.yaml"
    ]
    static = [
        {"targets": [address], "labels": {"namespace": "models", "pod": pod}}
        for pod, address in targets.items()
    ]
    name = {"source_labels": ["pod"], "target_label": "instance"}
    job = {"job_name": "modeltap", "static_configs": static, "relabel_configs": [name]}
    every = f"{SCRAPE_SECONDS}s"
    configuration = {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": rules,
        "scrape_configs": [job],
    }
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration))
    return [
        *(str(tools() / "prometheus"), f"--config.file={file}", f"--storage.tsdb.path={folder / 'tsdb'}"),
        *(f"--web.listen-address={LOOPBACK}:{port}", "--enable-feature=exemplar-storage", "--log.level=warn"),
    ]


async def _label(http: aiohttp.ClientSession, proxy: str, admin: str) -> None:
    """Rows whose truth is told a little later, for as long as it may."""
    replay = Replay((await asyncio.to_thread(data.load, None)).later)
    for number in itertools.count():
        rows, identity = replay.take(4), f"picture-{number}"
        with suppress(aiohttp.ClientError, TimeoutError):
            body = v2_named(rows.features.tolist(), identity)
            async with http.post(f"{proxy}{INFER}", json=body) as answer:
                await answer.read()
            await asyncio.sleep(LABEL_SECONDS)
            told = {
                "id": identity,
                "labels": [str(label) for label in rows.labels.tolist()],
                "source": "registry",
            }
            async with http.post(f"{admin}/v1/feedback", json=told) as answer:
                await answer.read()


async def _ask(http: aiohttp.ClientSession, proxy: str, seed: int) -> None:
    """Streams of answers, one after the other; some are not streamed, some break."""
    chance = random.Random(seed)
    for number in itertools.count():
        words = [f"tokens={chance.randint(*TOKENS)}", f"pause={chance.randint(*PAUSES_MS)}"]
        words += ["reason=length"] * (chance.random() < 0.2) + ["break"] * (chance.random() < 0.02)
        asked = {"model": "llama", "messages": [{"role": "user", "content": " ".join(words)}]}
        stream = {"stream": True, "stream_options": {"include_usage": True}} if number % 8 else {}
        with suppress(aiohttp.ClientError, TimeoutError):
            async with http.post(f"{proxy}/v1/chat/completions", json=asked | stream) as answer:
                await answer.read()
        await asyncio.sleep(chance.expovariate(2.0))
