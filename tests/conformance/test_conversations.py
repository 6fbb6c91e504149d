"""Any conversation in any order of writes: bytes both ways, pairs and counts are exact, in every mode.

`CONFORMANCE=long` runs other and longer conversations, new ones each time; the failing one is printed.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Coroutine, Iterator
from itertools import accumulate
from typing import Any, ClassVar

import pytest
import uvloop
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from exporter.proxy.settings import MODES
from exporter.records.exchange import Exchange
from tests.conformance.conversation import Answer, Request, answers, requests
from tests.conformance.stage import Models, Stage
from tests.conformance.steps import Step
from tests.proxy.lab import Lab

MAX_PIPELINED = 64
MOST = 100_000  # bytes of one write: kernels take it though the other end reads only afterwards
CUTS = st.sampled_from([1, 2, 20, 300, 5000, MOST, MOST])
COMMON = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True)
# The short form does not shrink: what fails there may wait for a deadline at each try.
SHORT = settings(COMMON, derandomize=True, max_examples=8, stateful_step_count=30, phases=[Phase.generate])
LONG = settings(COMMON, derandomize=False, max_examples=1000, stateful_step_count=100)
settings.register_profile("conformance-short", SHORT)
settings.register_profile("conformance-long", LONG)
LENGTH = os.environ.get("CONFORMANCE", "short")
PROFILE = settings.get_profile(f"conformance-{LENGTH}")
SECONDS = {"short": 120, "long": 3 * 3600}[LENGTH]


class Bench:
    """One worker for all conversations of a mode, on a loop that stands still between their steps."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.models = Models()
        self.lab = Lab()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """To its end."""
        return self.runner.run(coroutine)

    async def start(self) -> None:
        await self.lab.__aenter__()
        # Every exchange is traced, and so handed over, whatever its path.
        traced = {"tracing": True, "sampler": "always_on", "root_spans_per_second": 1 << 30}
        await self.lab.start(self.models.script, mode=self.mode, **traced)

    async def stage(self) -> Stage:
        """A new connection."""
        return Stage(await self.lab.client(), await self.models.accepted.get(), self.mode)

    async def ended(self, stage: Stage) -> None:
        """The connection is over, and the analysis has all that came of it."""
        stage.client.close()
        stage.model.close()
        await self.lab.idle()
        self.lab.plane.sender.flush()
        await self.lab.until(lambda: self.lab.reader.scalar("unacknowledged") == 0)


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """In the mode that the test names."""
    bench = Bench(request.param)
    with bench.runner:
        bench.run(bench.start())
        yield bench
        bench.run(bench.lab.__aexit__(None, None, None))


class Conversation(RuleBasedStateMachine):
    """Requests are composed, sent in pieces, answered in pieces, in any order that HTTP/1 allows."""

    bench: ClassVar[Bench]

    def __init__(self) -> None:
        super().__init__()
        self.stage: Stage | None = None

    @initialize()
    def connect(self) -> None:
        """A new connection; counts are taken from here."""
        lab = self.bench.lab
        self.stage = self.bench.run(self.bench.stage())
        self.before = tally(lab)
        self.delivered = len(lab.analysis.exchanges)
        self.requests: list[Request] = []
        self.answers: list[Answer] = []
        self.asked = b""  # all that the client composed
        self.told = b""  # all that the model composed
        self.closing = False

    # ---------------------------------------------------------------- what may happen

    @precondition(lambda self: not self.closing and self._open() < MAX_PIPELINED)
    @rule(data=st.data(), count=st.sampled_from([1, 1, 2, 4]))
    def ask(self, data: st.DataObject, count: int) -> None:
        """The client composes requests."""
        for _ in range(min(count, MAX_PIPELINED - self._open())):
            request = data.draw(requests(len(self.requests)), label="request")
            self.requests.append(request)
            self.asked += request.raw

    def _open(self) -> int:
        """Requests whose answers are not all said."""
        ends = accumulate(len(answer.raw) for answer in self.answers)
        return len(self.requests) - sum(end <= self.stage.model.sent for end in ends)

    @precondition(lambda self: self.stage.client.sent < len(self.asked))
    @rule(size=CUTS)
    def send(self, size: int) -> None:
        """The client writes some of it."""
        at = self.stage.client.sent
        end = min(at + size, len(self.asked))
        self.bench.run(self.stage.begin(Step("client", self.asked[at:end])))
        self.bench.run(self.stage.reached("model", self._begun(end)))

    def _begun(self, end: int) -> int:
        """Up to where everything must have arrived once `end` bytes are sent: all but the beginning of a head."""
        at = 0
        for request in self.requests:
            if at + request.head_size > end:
                return min(at, end)
            at += len(request.raw)
        return end

    @precondition(lambda self: len(self.answers) < len(self.requests) and self._heard(len(self.answers)))
    @rule(data=st.data(), count=st.sampled_from([1, 2, 5]))
    def answer(self, data: st.DataObject, count: int) -> None:
        """The model composes answers to the oldest requests whose heads it has."""
        for _ in range(count):
            if len(self.answers) < len(self.requests) and self._heard(len(self.answers)):
                self._answer(data)

    def _answer(self, data: st.DataObject) -> None:
        last = len(self.answers) == len(self.requests) - 1
        answer = data.draw(answers(self.requests[len(self.answers)], last), label="answer")
        self.answers.append(answer)
        self.told += answer.raw
        self.closing = self.closing or answer.until_close

    def _heard(self, number: int) -> bool:
        start = sum(len(request.raw) for request in self.requests[:number])
        return self._begun(self.stage.client.sent) >= start + self.requests[number].head_size

    @precondition(lambda self: self.stage.model.sent < len(self.told))
    @rule(size=CUTS)
    def say(self, size: int) -> None:
        """The model writes some of it."""
        at = self.stage.model.sent
        self.bench.run(self.stage.take(Step("model", self.told[at : at + size])))

    @precondition(lambda self: self.closing)
    @rule()
    def go_on(self) -> None:
        """The last answer was given on this connection; the next one is used."""
        self.settle()
        self.connect()

    # ---------------------------------------------------------------- what must have come of it

    def teardown(self) -> None:
        """A conversation may stop anywhere."""
        if self.stage is not None:
            self.settle()

    def settle(self) -> None:
        """All is sent and answered; then everything is as it must be."""
        while self.stage.client.sent < len(self.asked):
            self.send(MOST)
        for request in self.requests[len(self.answers) :]:
            plain = b"HTTP/1.1 200 OK\r\nx-answer: %d\r\nContent-Length: 0\r\n\r\n" % request.number
            self.answers.append(Answer(request.number, 200, plain, b"", False))
            self.told += plain
        while self.stage.model.sent < len(self.told):
            self.say(MOST)
        ends = [Step("client", end="fin"), Step("model", end="fin")]
        self.bench.run(self.stage.play(ends[::-1] if self.closing else ends))
        self.judge()

    def judge(self) -> None:
        """Counts, then pairs."""
        lab = self.bench.lab
        self.bench.run(self.bench.ended(self.stage))
        assert lab.desyncs() == {}
        counted = tally(lab)
        counted.subtract(self.before)
        due = Counter(answer.outcome for answer in self.answers)
        due["", "request_size"], due["", "response_size"] = len(self.asked), len(self.told)
        assert +counted == +due
        exchanges = lab.analysis.exchanges[self.delivered :]
        by_number = {number_of(exchange): exchange for exchange in exchanges}
        assert len(exchanges) == len(by_number) == len(self.requests)
        for request, answer in zip(self.requests, self.answers, strict=True):
            self.paired(by_number[request.number], request, answer)

    def paired(self, exchange: Exchange, request: Request, answer: Answer) -> None:
        """The analysis got the right answer to the right request, whole."""
        assert exchange.request_head == request.raw[: request.head_size]
        assert b"\r\nx-answer: %d\r\n" % answer.number in exchange.response_head
        bodies = (request.body, answer.body) if request.kept else (b"", b"")
        assert (exchange.request_body, exchange.response_body) == bodies
        assert (exchange.request_captured, exchange.response_captured) == (request.kept, request.kept)
        assert (exchange.request_size, exchange.response_size) == (len(request.raw), len(answer.raw))
        assert (str(exchange.status), exchange.error_type) == answer.outcome


def tally(lab: Lab) -> Counter[tuple[str, str]]:
    """Finished exchanges by code and error type, and the bytes of all."""
    found: Counter[tuple[str, str]] = Counter()
    for row in lab.rows():
        (error,) = row.errors or ("",)
        found[row.code, error] += row.count
        for family in ("request_size", "response_size"):
            found["", family] += row.families[family][1]
    return found


def number_of(exchange: Exchange) -> int:
    """The number in the request line."""
    return int(exchange.request_head.lstrip(b"\r\n").split(b" ", 2)[1].partition(b"?")[2])


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("bench", MODES, indirect=True)
def test_any_conversation(bench: Bench) -> None:
    """Whatever two ends say in whatever order, both hear exactly that, and each exchange is paired and counted once."""
    machine = type("Conversation", (Conversation,), {"bench": bench})
    run_state_machine_as_test(machine, settings=PROFILE)
