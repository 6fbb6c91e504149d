"""telemetry.py: the analysis process put together, over the same descriptors that the root hands it."""

import asyncio
import gc
import json
import logging
import os
import re
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import numpy as np
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text

from exporter.analysis.performance.judged import What
from exporter.analysis.performance.label import label_bytes
from exporter.analysis.performance.outcome import Joined
from exporter.analysis.performance.requests import Named
from exporter.analysis.performance.targets import Known as KnownTarget
from exporter.analysis.performance.targets import Target
from exporter.analysis.role import ROLES
from exporter.collect.artifacts import LOOK_SECONDS
from exporter.collect.container import ContainerCollector
from exporter.collect.contract import Collector
from exporter.collect.system import SystemCollector
from exporter.host.files import Files
from exporter.pending.row import blank
from exporter.publish.negotiation import OPENMETRICS
from exporter.records import model_process, status, totals
from exporter.records.catalogue import CATALOGUE
from exporter.records.cost import Cost
from exporter.records.exchange import Exchange
from exporter.records.kpi import Kpi
from exporter.records.messages import Ack, Learned, decode_control
from exporter.records.queue import Frames, Sender
from exporter.records.rule import Rule
from exporter.records.segment import parse_all
from exporter.records.status import Status
from exporter.records.threshold import Threshold
from exporter.records.totals import Layout, Writer
from exporter.settings.config import Config
from exporter.stats import save
from exporter.stats.performance.band import Band
from exporter.stats.profiles.build import Column as Data
from exporter.stats.profiles.build import ProfileConfig, build
from exporter.stats.profiles.levels import Level, PeriodSet
from exporter.stats.profiles.performance import Performance, ScoreCells
from exporter.telemetry import Telemetry
from tests.analysis.generations import told
from tests.analysis.world import BOUNDS, LABELS, TRACE, bump, profile, v2
from tests.decode import exchanges
from tests.host.trees import Tree, host, host_of_pods, own_network
from tests.receivers.otlp import OtlpReceiver

ONE = v2({"age": [40.5], "city": ["rome"]}, {"label": [1]}, trace=TRACE)
LOAD = msgspec.structs.replace(
    ONE, method="POST", path="/v2/repository/models/iris/load", operation="management", aside=True
)
# Labelled with the version that the data plane was told last.
NEXT = msgspec.structs.replace(
    v2({"age": [40.5], "city": ["rome"]}, {"label": [1]}, version="2"),
    model_version="1",
    start=LOAD.start + LOAD.duration,
)
# Families that need hardware which the machine of a test may not have.
# Hardware; what `modeltap job` has in a process of its own; and what kernels before 5.10 do not tell.
_ELSEWHERE = ("hw.", "model.job.", "process.memory.pss")
Body = Callable[["Sidecar"], Awaitable[None]]


class Sidecar:
    """What the root makes, and a data plane that counts and sends as the real one."""

    def __init__(self, **settings: Any) -> None:
        self.upstream = socket.create_server(("127.0.0.1", 0))
        upstream = f"http://127.0.0.1:{self.upstream.getsockname()[1]}"
        settings = {"upstream_metrics": "off", "probe_interval": 0.1} | settings
        self.config = Config(upstream=upstream, latency_buckets=BOUNDS, analysis_memory=1 << 40, **settings)
        self.layout = Layout(BOUNDS)
        self.totals = totals.create(self.layout)
        self.status_fd = status.create()
        self.status = Status(self.status_fd)
        self.writer = Writer(self.totals, self.layout)
        self.writer.set("admission_limit", self.config.max_concurrency)
        self.writer.set("started", 1_700_000_000_000_000_000)
        self.sender = Sender(self.writer)
        self.admin = socket.create_server(("127.0.0.1", 0))
        self.admin.setblocking(False)
        self.address = f"http://127.0.0.1:{self.admin.getsockname()[1]}/metrics"
        self.heard: list[object] = []

    async def start(self) -> None:
        self.telemetry = Telemetry()
        message = {
            "kind": "start",
            "config": msgspec.to_builtins(self.config),
            "dialects_off": [],
            "wrapped": True,
        }
        page = model_process.create(time.time())
        model_process.Page(page).started(os.getpid())
        for phase in model_process.PHASES:
            model_process.Page(page).reached(phase, 1.0)
        fds = [self.admin.dup().detach(), self.status_fd, self.totals, page]
        await self.telemetry.message(message, fds)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        await self.telemetry.message({"kind": "link"}, [theirs.detach()])
        reader, self.stream = await asyncio.open_connection(sock=ours)
        self.sender.connect(self.stream.write)
        self.listener = asyncio.create_task(self._listen(reader))

    async def stop(self) -> None:
        await self.telemetry.stop()
        self.stream.close()
        self.listener.cancel()

    def close(self) -> None:
        self.upstream.close()
        self.admin.close()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        frames = Frames()
        while data := await reader.read(1 << 16):
            for payload in frames.feed(data):
                message = decode_control(payload)
                self.heard.append(message)
                if isinstance(message, Ack):
                    self.sender.acknowledge(message.number)

    async def send(self, *exchanges: Exchange) -> None:
        """Count and hand over, then wait for the acknowledgement."""
        for exchange in exchanges:
            bump(self.writer, (*LABELS, str(exchange.status)), exchange.duration)
            assert self.sender.admits(exchange.request_id)
            assert self.sender.put(exchange)
        self.sender.flush()
        await until(lambda: not self.writer.slots[self.writer.scalar("unacknowledged")])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def scrape(sidecar: Sidecar, accept: str = OPENMETRICS, query: str = "") -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.get(sidecar.address + query, headers={"Accept": accept}) as response,
    ):
        assert response.status == 200
        return await response.text()


def values(body: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of an OpenMetrics body, read by Prometheus' own client library."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in openmetrics(body)
        for sample in family.samples
    }


def total(body: str, name: str, **labels: str) -> float:
    return sum(
        value
        for (found, pairs), value in values(body).items()
        if found == name and labels.items() <= set(pairs)
    )


@pytest.fixture(autouse=True)
def unchanged(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What belongs to the whole process is put back."""
    level, thresholds = logging.getLogger().level, gc.get_threshold()
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    logging.getLogger().setLevel(level)


def run(body: Body, **settings: Any) -> None:
    async def main() -> None:
        sidecar = Sidecar(**settings)
        await sidecar.start()
        try:
            await body(sidecar)
        finally:
            await sidecar.stop()
            sidecar.close()

    asyncio.run(main())


def test_exchange_becomes_visible_in_every_family(tmp_path: Path) -> None:
    """One sampled exchange moves totals, predictions, bins, drift states and an exemplar; versions are told back."""
    save(profile("iris"), tmp_path / "iris.json")

    async def body(sidecar: Sidecar) -> None:
        before = await scrape(sidecar)
        assert total(before, "model_prediction_bin_total") == 0
        await sidecar.send(*[msgspec.structs.replace(ONE, model_version="unknown")] * 3)
        first, second = await scrape(sidecar), await scrape(sidecar)
        assert total(first, "model_request_duration_seconds_count", code="200") == 0
        assert total(second, "model_request_duration_seconds_count", code="200") == 3
        assert total(second, "model_predictions_total", model_version="1", **{"class": "1"}) == 3
        assert total(second, "model_prediction_bin_total", model_version="1") == 3
        assert "# {trace_id=" not in first
        assert "# {trace_id=" not in second  # its labels were unknown's, which no total has
        await sidecar.send(ONE)
        assert f'trace_id="{TRACE.trace_id}"' in await scrape(sidecar)
        await until(lambda: Learned({"iris": "1"}) in sidecar.heard)

    run(body, reference=(str(tmp_path),))


def test_scrapes_are_valid_while_batches_are_counted() -> None:
    """Scrapers in both formats all the time while exchanges of changing shape stream in: all valid, none goes back."""
    makers = [
        v2({"age": [1.5] * 4, f"f{n}": [0.5] * 4}, {"label": ["a", "b", f"c{n}", ""]}, version=str(n % 3))
        for n in range(40)
    ]

    async def body(sidecar: Sidecar) -> None:
        done = False
        seen: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        scrapes = 0

        async def scraper(accept: str) -> None:
            nonlocal scrapes
            while not done:
                found = await scrape(sidecar, accept)
                scrapes += 1
                if accept != OPENMETRICS:
                    assert sum(1 for _ in text(found)) > 20
                    continue
                for key, value in values(found).items():
                    gauge = key[0].startswith("process_")  # two of them are named _count
                    if key[0].endswith(("_total", "_bucket", "_count")) and not gauge:
                        assert value >= seen.get(key, 0.0), key
                        seen[key] = value

        async def traffic() -> None:
            nonlocal done
            for n in range(30):
                await sidecar.send(*(makers[(n + k) % len(makers)] for k in range(64)))
            done = True

        await asyncio.gather(traffic(), scraper(OPENMETRICS), scraper("text/plain"))
        await scrape(sidecar)
        final = await scrape(sidecar)
        assert scrapes > 4
        assert total(final, "model_exchanges_decoded_total", outcome="decoded") == 30 * 64
        assert total(final, "model_predictions_total", output="label") == 30 * 64 * 4

    run(body, tick_interval=0.1)


def test_no_total_goes_back_over_a_restart_of_the_analysis() -> None:
    """The analysis is replaced twice under traffic and scrapes: what the data plane counted only rises."""

    async def main() -> None:
        sidecar = Sidecar()
        seen: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        for life in range(3):
            await sidecar.start()
            for step in range(6):
                status_code = (200, 404, 503)[(step + life) % 3]
                await sidecar.send(msgspec.structs.replace(ONE, status=status_code))
                for key, value in values(await scrape(sidecar)).items():
                    if re.match(r"model_(request|response|client)_|modeltap_(records|restarts)", key[0]):
                        assert value >= seen.get(key, 0.0), key
                        seen[key] = value
            await sidecar.stop()
            sidecar.status.restarted("analysis", "exit")
        sidecar.close()
        created = {value for (name, _), value in seen.items() if name.endswith("restarts_created")}
        assert created == {1_700_000_000.0}
        restarts = [value for (name, _), value in seen.items() if name == "modeltap_restarts_total"]
        assert sorted(restarts)[-1] == 2
        assert seen["model_request_size_bytes_count", tuple(sorted(zip(_TRAFFIC, LABELS, strict=True)))] == 18

    asyncio.run(main())


_TRAFFIC = ("model_name", "model_version", "operation", "protocol")


def test_filtered_scrape_does_not_use_up_the_zero() -> None:
    """A scrape of another family leaves a new series to show its 0 to the next full one."""

    async def body(sidecar: Sidecar) -> None:
        await sidecar.send(ONE)
        assert "model_predictions" not in await scrape(sidecar, query="?name[]=model_up")
        assert total(await scrape(sidecar), "model_predictions_total") == 0
        assert total(await scrape(sidecar), "model_predictions_total") == 1

    run(body)


def test_everything_that_can_go_wrong_with_a_body_is_counted() -> None:
    """No JSON, no fields, not captured, an unknown protocol and 2 MiB of JSON: reasons, and the process lives."""
    large = json.dumps({"inputs": [], "pad": "x" * (2 << 20)}).encode()
    bad = {
        "not_json": msgspec.structs.replace(ONE, response_body=b"<html>"),
        "missing_field": msgspec.structs.replace(ONE, request_body=large),
        "not_captured": msgspec.structs.replace(ONE, response_captured=False),
        "no_dialect": msgspec.structs.replace(ONE, protocol="somebody_elses"),
        "not_2xx": msgspec.structs.replace(ONE, status=301),
        "request_only": msgspec.structs.replace(ONE, status=500),
    }

    async def body(sidecar: Sidecar) -> None:
        await sidecar.send(*bad.values())
        found = await scrape(sidecar)
        for outcome in bad:
            assert total(found, "model_exchanges_decoded_total", outcome=outcome) == 1
        await sidecar.telemetry.message({"kind": "nobody_knows"}, [])

    run(body)


def _collectors_of_a_tree(root: Path) -> list[Collector]:
    """What the kernel of this machine may not tell, from one that does."""
    tree = Tree(root)
    host_of_pods(tree)
    own_network(tree)
    host(tree)
    return [ContainerCollector("model", 20, 1, Files(root)), SystemCollector(Files(root))]


def test_every_row_of_the_catalogue_is_produced(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Traffic with a limit, a profile, drift and OTLP fill every family but those of absent hardware."""
    levels, periods = (Level("label", "psi", 300, 8, 0.01, 0.01),), (PeriodSet(3600, 5),)
    save(replace(profile("iris"), levels=levels, periods=periods), tmp_path / "iris.json")
    rng = np.random.default_rng(3)
    values = dict(zip("abc", rng.normal(size=(3, 500)).cumsum(axis=0), strict=True))
    columns = {name: Data(own, "prediction" if name == "c" else "feature") for name, own in values.items()}
    half = ScoreCells("c", "", "1", (50,) * 10, (25,) * 10, (0,) * 10, (0,) * 10, (9.0,) * 10, (9.0,) * 10)
    tested = replace(build(columns, ProfileConfig("whole")), performance=Performance(500, cells=half))
    save(tested, tmp_path / "whole.json")
    cells = {name: own.tolist() for name, own in values.items()}
    whole = v2({name: cells[name] for name in "ab"}, {"c": cells["c"]}, name="whole")
    many = [v2({"age": [40.5] * 200, "city": ["rome"] * 200}, {"label": [0, 1] * 100}) for _ in range(4)]
    numeric = v2({"x": [1.5], "t": [""], "at": [1.5]}, {"y": [0.5]}, name="wine")
    numeric = msgspec.structs.replace(numeric, response_head=TELLING)
    listening = socket.create_server(("127.0.0.1", 0))
    metrics = f":{listening.getsockname()[1]}"

    async def body(sidecar: Sidecar) -> None:
        telemetry = sidecar.telemetry
        server = await asyncio.start_server(serve_metrics, sock=listening)
        await telemetry._polling()
        in_flight = sidecar.writer.block(("iris", "predict", "v2")) + sidecar.layout.block_slots - 1
        sidecar.writer.slots[in_flight] = 1
        await sidecar.send(*many, numeric, whole, told(4, 2, streamed=True, marks=True), told(4, 2))
        # Token counts in the conventions' form to come take the place of the others.
        telemetry._engine.generations.newer = True
        await sidecar.send(told(4, 2))
        label(telemetry)
        assert telemetry._labels is not None
        telemetry._labels._add_cells(1_700_000_100.0)
        await telemetry._labels.mature(1_703_000_000.0)
        await telemetry._labels.mature(1_700_000_100.0)
        reading = await telemetry._labels.reading(1_700_000_100.0)
        await telemetry._labels._truth.read(reading.cohorts, reading.whats, (0.0, 1_700_004_000.0))
        await sidecar.send(LOAD)
        await telemetry._second()
        await sidecar.send(NEXT)
        await telemetry._second()
        model = await asyncio.start_server(serve_metrics, sock=sidecar.upstream.dup())
        for _ in range(2):
            await telemetry._life.probe()
        model.close()
        await model.wait_closed()
        await telemetry._tick()
        collectors = _collectors_of_a_tree(tmp_path / "tree")
        replaced = {each.name for each in collectors}
        telemetry._built = [*(each for each in telemetry._built if each.name not in replaced), *collectors]
        described(telemetry)
        await telemetry._collect()
        server.close()
        await server.wait_closed()
        names = {sample.name for sample in telemetry._rendering.gather(*telemetry._copied())}
        assert {row.name for row in CATALOGUE if not row.name.startswith(_ELSEWHERE)} - names == set()
        assert names <= {row.name for row in CATALOGUE}

    own = Path(__file__).parent / "vectors" / "tls" / "server"
    tls = f"tls_server_config: {{cert_file: {own}.pem, key_file: {own}.key}}"
    (tmp_path / "web.yml").write_text(f"http_server_config: {{http2: false}}\n{tls}\n")
    given = {"web_config": str(tmp_path / "web.yml"), "payload_log_target": str(tmp_path / "payloads")}
    given |= {"upstream_metrics": metrics, "state_dir": str(tmp_path), "access_log": str(tmp_path / "access")}
    given |= {"label_store": "memory", "join_keys": ("request_id",), "label_requests": 0.5}
    (tmp_path / "weights").write_bytes(b"x")
    os.utime(tmp_path / "weights", (1_600_000_000.0, 1_600_000_000.0))
    files = [{"path": "weights", "digest": "0" * 64}]
    said = {"name": "iris", "owner": "ada", "training": {"seed": 1}, "artifacts": files}
    (tmp_path / "modeltap.json").write_text(json.dumps(said))
    given |= {"descriptions": (str(tmp_path / "modeltap.json"),)}
    given |= {"artifacts": (f"{tmp_path}/weights=sha256:{'1' * 64}",), "thresholds": (Threshold("t", 0.5),)}
    (tmp_path / "keys").write_text("1 " + "ab" * 16)
    given |= {"label_receipts": str(tmp_path / "keys")}
    given |= {"label_costs": (Cost("1", "0", 2.0),), "kpis": (Kpi("k", "labelled", 1.0),)}
    quality: dict[str, Any] = {"time_column": "at", "rules": (Rule("x", "not_null", "x"),)}
    run(body, reference=(str(tmp_path),), max_concurrency=4, late_spans=1, **given, **quality)


def described(telemetry: Telemetry) -> None:
    """A file is hashed by hand: the thread waits until nobody writes to it."""
    artifacts = telemetry._described.artifacts
    artifacts.stop()
    assert artifacts._thread is not None
    artifacts._thread.join(20)
    while artifacts.step(time.time() + 60.0) < LOOK_SECONDS:
        pass


def label(telemetry: Telemetry) -> None:
    """Rows of a score and of a number with a reference, and a label of each."""
    assert telemetry._labels is not None
    joining = telemetry._labels.joining
    joining.bands["iris", "1", "live"] = "0a1b2c3d", (Band("accuracy", "", 86400, 8, 0.9, 0.01),)
    joining.targets["iris", "1", "binary", "live"] = "0a1b2c3d", {"0": 60, "1": 40}
    target = Target("0a1b2c3d", (0.5,))
    joining.truths["iris", "1", "interval", "live"] = KnownTarget(target, (5, 5, 0, 0), {("psi", 86400): 0.1})
    segments = parse_all(["sex=F|M"])
    for form in ("binary", "interval", "labels"):
        positive = "1" if form == "binary" else ""
        classes = ("1", "2") if form == "labels" else ()
        aim = target if form == "interval" else None
        what = What("iris", "1", form, form, positive, 0.5, classes, segments, aim)
        joining.whats[what.id] = what
        row = blank(1, 1_700_000_000.0)
        row["version"], row["value"], row["bins"] = (
            what.id,
            0.5,
            np.frombuffer(np.uint64(joining.words.id("1")).tobytes(), "u1"),
        )
        value = label_bytes(1.0, 1.0, joining.words.id(1.0))
        row["chance"] = 100
        other = row.copy()
        other["role"] = ROLES.index("shadow")
        telemetry._labels._performance.told.joined(b"key", row.tobytes(), [("revenue", 12.5)])
        both = row.tobytes() + other.tobytes()
        telemetry._labels._performance.count([Joined(both, value, 1_700_000_060.0)] * 200)
        joining._margins.predicted(what, row)
        if form == "binary":
            canary = replace(what, model_version="2")
            joining.whats[canary.id] = canary
            row["role"], row["version"] = ROLES.index("canary"), canary.id
            telemetry._labels._performance.count([Joined(row.tobytes(), value, 1_700_000_060.0)] * 200)
            row["role"], row["version"] = ROLES.index("live"), what.id
        assert telemetry._labels.requests is not None
        telemetry._labels.requests.offer(what, "live", [(b"key", Named("a", 0))], row)


# What servers tell in their metrics, and what one tells in an answer.
SERVERS = Path(__file__).parent / "vectors" / "upstream_metrics"
TELLING = (
    b"HTTP/1.1 200 OK\r\nx-compute-type: cpu\r\nx-queue-time: 2\r\nx-time-per-token: 3\r\nx-prompt-tokens: 4\r\n"
    b"endpoint-load-metrics: TEXT cpu_utilization=0.5,named_metrics.max_token_capacity=6\r\n\r\n"
)


async def serve_metrics(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The metrics of several servers at once."""
    await reader.readuntil(b"\r\n\r\n")
    body = b"".join((SERVERS / f"{name}.txt").read_bytes() for name in ("vllm", "sglang", "tgi", "triton"))
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()
    writer.close()
    await writer.wait_closed()


def test_rows_that_wait_are_counted_by_the_next_scrape() -> None:
    """By group, class and score as well as in the ledger, though the former are counted seldom."""
    head = b"POST / HTTP/1.1\r\nx-request-id: a\r\n\r\n"

    async def body(sidecar: Sidecar) -> None:
        await sidecar.send(v2({"x": [1.0] * 3}, {"y": [0.9, 0.2, 0.7]}, request_head=head))
        found = await scrape(sidecar)
        assert total(found, "model_label_predictions_total", state="kept") == 3
        kept = {
            group: total(found, "model_label_segment_total", group=group) for group in ("0.2", "0.7", "0.9")
        }
        assert kept == {"0.2": 1, "0.7": 1, "0.9": 1}

    run(body, label_store="memory", task="binary", positive_class="1")


def test_the_servers_own_metrics() -> None:
    """They are polled, shown under our names, and merged into a scrape that wants them."""
    listening = socket.create_server(("127.0.0.1", 0))

    async def body(sidecar: Sidecar) -> None:
        server = await asyncio.start_server(serve_metrics, sock=listening)
        async with asyncio.timeout(30):
            while total(found := await scrape(sidecar), "model_queue_length", source="upstream") != 25:
                await sidecar.telemetry._collect()
        assert total(found, "model_server_requests_running", source="vllm") == 8
        assert "nv_inference_count" not in found
        merged = await scrape(sidecar, query="?include=upstream")
        assert total(merged, "nv_inference_count") == 3320
        assert total(merged, "model_queue_length", source="upstream") == 25
        merges = total(
            await scrape(sidecar), "modeltap_upstream_scrapes_total", purpose="merge", outcome="scraped"
        )
        assert merges == 1
        server.close()
        await server.wait_closed()

    run(body, upstream_metrics=f":{listening.getsockname()[1]}")


async def test_an_upstream_behind_a_unix_socket_is_probed(tmp_path: Path) -> None:
    """The probe goes where the data plane goes."""
    path = str(tmp_path / "model.sock")
    server = await asyncio.start_unix_server(serve_metrics, path)
    telemetry = Telemetry()
    telemetry._collectors(Config(upstream=f"unix:{path}", probe_path="/ready"))
    await telemetry._life.probe()
    server.close()
    await server.wait_closed()
    (probe,) = [one for one in telemetry._built if one.name == "health"]
    assert [one.value for one in probe.collect(time.time()) if one.name == "model.up"] == [1]


def test_end_pushes_what_is_left(receiver: OtlpReceiver) -> None:
    """The last span and the last counts reach the collector; what is pushed is never held at 0."""

    async def body(sidecar: Sidecar) -> None:
        await sidecar.send(ONE)
        started = asyncio.get_running_loop().time()
        await sidecar.telemetry.stop()
        await sidecar.telemetry.stop()
        assert asyncio.get_running_loop().time() - started < 10

    run(body)
    assert len(receiver.spans) == 1
    (point,) = receiver.metrics["model.request.duration"].histogram.data_points
    assert point.count == 1
    (predicted,) = receiver.metrics["model.predictions"].sum.data_points
    assert predicted.as_int == 1


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpReceiver]:
    """A real OTLP receiver that the environment names."""
    with OtlpReceiver() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.http_endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        yield running


def test_stop_before_the_start_is_nothing() -> None:
    """A role that was told to stop before it was told to start just ends."""
    asyncio.run(Telemetry().stop())


def test_what_is_in_hand_has_the_name_of_the_dialect_that_claims_it() -> None:
    """A path that names no dialect is told to the root with the one that reads it, so that its deaths are counted."""

    async def body(sidecar: Sidecar) -> None:
        seen = []
        engine = sidecar.telemetry._engine
        understand = engine.understand

        def look(one: Exchange) -> object:
            seen.append(sidecar.status.in_hand())
            return understand(one)

        engine.understand = look  # type: ignore[method-assign,assignment]
        await sidecar.send(
            exchanges.exchange("/invocations", b'{"inputs":[[1.0]]}', b'{"predictions":[3.0]}')
        )
        assert seen == [("mlflow", "/invocations")]

    run(body)


PUSHED = {"model_name": "batch", "features": {"age": [31, 44]}, "predictions": ["a", "b"], "ids": ["x", "y"]}


def test_what_is_pushed_is_exported() -> None:
    """A record that never crossed the wire counts in rows, classes and outcomes; a bad one beside it by its reason."""

    async def body(sidecar: Sidecar) -> None:
        url = sidecar.address.replace("/metrics", "/v1/observations")
        records = json.dumps([PUSHED, {"features": {"age": [1], "x": []}}])
        headers = {"Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=records, headers=headers) as response,
        ):
            assert response.status == 200
            said = json.loads(await response.text())
        assert (said["accepted"], said["rows"], said["refused"][0]["reason"]) == (1, 2, "rows_differ")
        found = values(await scrape(sidecar))
        decoded = "model_exchanges_decoded_total"
        labels = {"model_name": "batch", "protocol": "pushed", "outcome": "decoded"}
        assert found[decoded, tuple(sorted(labels.items()))] == 1
        labels = {"model_name": "unknown", "protocol": "pushed", "outcome": "rows_differ"}
        assert found[decoded, tuple(sorted(labels.items()))] == 1
        wrote = {"resource": "observations", "outcome": "partial"}
        assert found["modeltap_writes_total", tuple(sorted(wrote.items()))] == 1
        rows = {
            "model_name": "batch",
            "model_version": "unknown",
            "output": "prediction",
            "class": "b",
            "role": "live",
        }
        assert found["model_predictions_total", tuple(sorted(rows.items()))] == 1

    run(body, series_hold=0.0)
