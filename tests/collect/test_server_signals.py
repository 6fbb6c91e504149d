"""The table of names against expositions in every server's own form, and the page that lists it."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collect.server_signals import CANDIDATES, MAX_MODELS, NAMES, Signals, spellings
from exporter.publish.exposition import readings
from exporter.records.catalogue import metric, prometheus_name
from exporter.records.exchange import OTHER
from exporter.records.reading import Reading
from exporter.records.sample import Sample

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "vectors" / "upstream_metrics"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
PAGE = ROOT / "docs" / "upstream-metrics.md"


def read(text: str, signals: Signals | None = None) -> list[Sample]:
    kind = "application/openmetrics-text" if text.endswith("# EOF\n") else "text/plain"
    return (signals or Signals()).read(readings(text.encode(), kind, NAMES))


def rows(samples: list[Sample]) -> list[list[object]]:
    return [[one.name, *one.labels, one.value, *([one.created] if one.created else [])] for one in samples]


def text_and_numbers(row: list[Any]) -> tuple[list[str], list[float]]:
    return [one for one in row if isinstance(one, str)], [one for one in row if not isinstance(one, str)]


@pytest.mark.parametrize("server", sorted(EXPECTED))
def test_every_server(server: str) -> None:
    """The exposition of a server gives exactly these signals, scaled, added up over engines, replicas and versions."""
    found = [text_and_numbers(row) for row in rows(read((FOLDER / f"{server}.txt").read_text()))]
    wanted = [text_and_numbers(row) for row in EXPECTED[server]]
    assert [texts for texts, _ in found] == [texts for texts, _ in wanted]
    for (texts, numbers), (_, other) in zip(found, wanted, strict=True):
        assert numbers == pytest.approx(other, rel=1e-12), texts


def test_every_vector_is_expected_and_every_source_has_one() -> None:
    """No exposition lies about unread, and no server of the table is without one."""
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(EXPECTED)
    told = {text for server in EXPECTED.values() for row in server for text in row[2:3]}
    assert told >= {row.source for row in CANDIDATES}


def test_the_page_lists_the_table() -> None:
    """docs/upstream-metrics.md has one line per row, in its order, and no other."""
    wanted = []
    for row in CANDIDATES:
        name = f"`{row.name}`" + (f' with `{row.where[0]}="{row.where[1]}"`' if row.where else "")
        scale = {1.0: "", 1e-6: ", µs", 1e-3: ", ms"}[row.scale] + (
            ", mean since the last reading" if row.mean else ""
        )
        model = f"`{row.model}`" if row.model else ""
        wanted.append(f"| {row.source} | {name}{scale} | `{prometheus_name(metric(row.family))}` | {model} |")
    lines = PAGE.read_text().splitlines()
    assert [
        line
        for line in lines
        if line.startswith("| ") and line.split(" ")[1] in {r.source for r in CANDIDATES}
    ] == wanted


def test_rows_are_sound() -> None:
    """Families are those of the catalogue with our two labels; no row stands twice; counters only of what counts."""
    assert len(set(CANDIDATES)) == len(CANDIDATES)
    for row in CANDIDATES:
        family = metric(row.family)
        assert family.labels == ("model_name", "source")
        assert not (row.mean and family.kind != "gauge")
        assert row.scale == 1.0 or family.unit == "s"


def test_an_older_name_counts_only_without_the_newer() -> None:
    """During a deprecation a server tells both: one of them is read."""
    both = "vllm:kv_cache_usage_perc 0.25\nvllm:gpu_cache_usage_perc 0.75\n"
    assert rows(read(both)) == [["model.server.kv_cache.usage", "", "vllm", 0.25]]


def test_the_mean_of_a_histogram_of_queue_lengths() -> None:
    """The mean of what was counted between two readings; nothing without requests, anew after a restart."""
    signals = Signals()

    def at(total: float, count: int) -> list[list[object]]:
        name, labels = "batch_request_queue", '{model_name="m"}'
        return rows(read(f"{name}_sum{labels} {total}\n{name}_count{labels} {count}\n", signals))

    def waiting(value: float) -> list[list[object]]:
        return [
            ["model.queue.length", "upstream", value],
            ["model.server.requests.waiting", "m", "mlserver", value],
        ]

    assert at(10, 5) == []
    assert at(16, 8) == waiting(2)
    assert at(16, 8) == []
    assert at(9, 3) == waiting(3)
    assert rows(read("", signals)) == []
    assert at(12, 4) == []


def test_bad_values_are_no_readings() -> None:
    """What is not a number or below nothing is left out, not exported."""
    text = "tgi_queue_size NaN\ntgi_batch_current_size -1\ntgi_request_success +Inf\n"
    assert read(text) == []


def test_models_are_bounded() -> None:
    """Names over the bound add up under one label; a long name is cut."""
    lines = [
        f'vllm:num_requests_waiting{{model_name="{n:03d}{"x" * 200}"}} 1\n' for n in range(MAX_MODELS + 8)
    ]
    found = read("".join(lines))
    models = {one.labels[0]: one.value for one in found if one.name == "model.server.requests.waiting"}
    assert len(models) == MAX_MODELS + 1
    assert models[OTHER] == 8
    assert max(map(len, models)) == 128
    assert found[0].value == MAX_MODELS + 8


def test_spellings() -> None:
    """A colon may have become an underscore, also behind Ray's prefix."""
    assert spellings("vllm:a") == ("vllm:a", "vllm_a", "ray_vllm_a")
    assert spellings("tgi_a") == ("tgi_a",)


NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


@given(
    st.lists(
        st.builds(
            Reading,
            st.sampled_from(sorted(NAMES)),
            st.dictionaries(
                st.sampled_from(["model", "model_name", "request_type", "deployment"]), st.text(max_size=3)
            ),
            NUMBERS,
        ),
        max_size=30,
    )
)
def test_any_readings_give_samples_that_can_be_exported(given: list[Reading]) -> None:
    """Whatever a server tells: no exception, finite numbers, one sample per series, families together."""
    samples = Signals().read(given)
    assert len({(one.name, one.labels) for one in samples}) == len(samples)
    for one in samples:
        assert isinstance(one.value, float) and one.value >= 0 and not math.isnan(one.value)
        assert len(one.labels) == len(metric(one.name).labels)
    names = [one.name for one in samples]
    assert sorted(names) == names
