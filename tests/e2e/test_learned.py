"""A reference that is learned from live traffic by a sidecar: once, shared with a replica, kept over a restart."""

import json
import random
import urllib.request
from pathlib import Path
from typing import Any

from tests.e2e.client import Ledger, connected, inference_request
from tests.e2e.exposition import samples, scrape, total
from tests.e2e.processes import wait_until
from tests.e2e.sidecar import Tapped, tapped

MODEL = "echo"
EACH, REQUESTS = 20, 30
SECONDS = 40.0  # the file is looked at every two seconds, and must be still for one look


def sent(tap: Tapped, seed: int, requests: int) -> None:
    """So many requests, whose x is drawn anew."""
    draw = random.Random(seed)
    with connected(tap.at.proxy, Ledger(), seed=seed) as client:
        for _ in range(requests):
            client.infer(MODEL, inference_request([{"x": draw.gauss(0.0, 1.0)} for _ in range(EACH)]))


def page(tap: Tapped) -> dict[str, Any]:
    """What GET /v1/drift says of the model; {} before there is one."""
    with urllib.request.urlopen(tap.at.metrics.replace("/metrics", "/v1/drift"), timeout=10) as answer:
        models = json.load(answer)["models"]
    return next((one for one in models if one["model_name"] == MODEL), {})


def reference(tap: Tapped) -> str:
    """The one in force if it was learned."""
    found = page(tap)
    return str(found["reference"]) if found.get("reference_source") == "learned" else ""


def drift(tap: Tapped) -> tuple[float, float]:
    """PSI of x in the window of an hour and its noise floor, 0 while there is none, after some more rows."""
    sent(tap, 3, REQUESTS)  # under load they are thinned
    values = samples(scrape(tap.at.metrics))
    told = {"window": "1h", "feature": "x", "statistic": "psi"}
    return total(values, "model_drift", **told), total(values, "model_drift_noise_floor", **told)


def test_a_reference_is_learned_once(tmp_path: Path) -> None:
    """From the first rows on; a second replica and a restart use the same file, and nobody writes it again."""
    learned = tmp_path / "learned.json"
    flags = ["--learn-file", str(learned), "--learn-rows", str(EACH * REQUESTS), "--learn-hours", "0"]
    flags += ["--tick-interval", "0.2", "--series-hold", "0"]

    def written(tap: Tapped) -> bool:
        sent(tap, 2, REQUESTS)
        return learned.exists()

    with tapped(tmp_path, flags) as first:
        sent(first, 1, REQUESTS // 2)
        wait_until(lambda: page(first), "the model is seen", seconds=SECONDS)
        assert not learned.exists()
        wait_until(lambda: written(first), "the profile is written", seconds=SECONDS)
        wait_until(lambda: reference(first), "it is in force", seconds=SECONDS)
        text = learned.read_bytes()
        assert json.loads(text)["source"] == "learned"
        assert json.loads(text)["model_name"] == MODEL
        with tapped(tmp_path, flags) as second:
            wait_until(lambda: drift(second)[1], "the replica compares with it", seconds=SECONDS)
            assert reference(second) == reference(first)
            assert drift(second)[0] < 0.2
    with tapped(tmp_path, flags) as again:
        wait_until(lambda: drift(again)[1], "it is compared with from the start", seconds=SECONDS)
        assert reference(again) == json.loads(text)["sha256"][:8]
    assert learned.read_bytes() == text
