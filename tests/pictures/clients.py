"""Who asks in the scene: rows whose truth is told later, a challenger beside them, and streams of a language model.

They know addresses and protocols, nothing of what is exported.
"""

import asyncio
import itertools
import random
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import aiohttp
import numpy as np

from exporter.demo import data
from exporter.demo.model import NAME
from exporter.demo.traffic import Replay, v2_named

INFER = f"/v2/models/{NAME}/infer"
ROLE = "x-role"
LABEL_SECONDS = 0.3
# Of so many requests one is the canary's alone.
ALONE = 4
ROWS = 4
# Streams at a time, and the bounds of what they ask for.
STREAMS = 4
TOKENS = (5, 120)
PAUSES_MS = (4, 30)


async def label(http: aiohttp.ClientSession, proxy: str, admin: str) -> None:
    """Rows whose truth is told a little later, for as long as it may; most of it with what it was worth."""
    chance = random.Random(0)
    replay = Replay((await asyncio.to_thread(data.load, None)).later)
    for number in itertools.count():
        rows, identity = replay.take(ROWS), f"picture-{number}"
        # The challenger is shown the same rows, with what it would have of them: no digits behind the point.
        whole = np.round(rows.features)
        with suppress(aiohttp.ClientError, TimeoutError):
            if number % ALONE:
                await _post(http, f"{proxy}{INFER}", v2_named(rows.features.tolist(), identity))
                await _post(http, f"{proxy}{INFER}", v2_named(whole.tolist(), identity), {ROLE: "shadow"})
            else:
                await _post(http, f"{proxy}{INFER}", v2_named(whole.tolist(), identity), {ROLE: "canary"})
            await asyncio.sleep(LABEL_SECONDS)
            for row, truth in enumerate(rows.labels.tolist()):
                item = {"id": identity, "row": row, "label": str(truth), "source": "registry"}
                worth = {"outcomes": {"revenue": round(chance.gauss(40.0 if truth else 12.0, 4.0), 2)}}
                await _post(http, f"{admin}/v1/feedback", item | (worth if number % 5 else {}))


async def ask(http: aiohttp.ClientSession, proxy: str, seed: int) -> None:
    """Streams of answers, one after the other; some are not streamed, some call tools, some break."""
    chance = random.Random(seed)
    for number in itertools.count():
        words = [f"tokens={chance.randint(*TOKENS)}", f"pause={chance.randint(*PAUSES_MS)}"]
        words += ["reason=length"] * (chance.random() < 0.2) + ["break"] * (chance.random() < 0.02)
        words += ["tools=1"] * (chance.random() < 0.1)
        asked = {"model": "llama", "messages": [{"role": "user", "content": " ".join(words)}]}
        stream = {"stream": True, "stream_options": {"include_usage": True}} if number % 8 else {}
        with suppress(aiohttp.ClientError, TimeoutError):
            await _post(http, f"{proxy}/v1/chat/completions", asked | stream)
        await asyncio.sleep(chance.expovariate(2.0))


async def _post(
    http: aiohttp.ClientSession, url: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> None:
    async with http.post(url, json=body, headers=headers) as answer:
        await answer.read()
