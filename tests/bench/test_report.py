"""Tables, bars and JSON from rounds."""

import json

from bench import bars, report
from bench.figures import Metric, Outcome, Reading
from bench.peers import PEERS, sidecar
from bench.runner import Results, turns
from bench.scenario import Scenario
from bench.scenarios import SCENARIOS

COST = Metric("cpu_us", "µs CPU/request")
OBSERVED = Metric("observed", "% observed", better="higher", compared=False)
SCENARIO = Scenario("keepalive", "small", (COST, OBSERVED), lambda target, load: Outcome())


def results(observed: float = 100.0) -> Results:
    made = Results()
    by_name = {peer.name: peer for peer in PEERS}
    for shift in (0.0, 1.0, 2.0):
        plane, analysis = Reading("cpu_us", 24.0, "data plane"), Reading("cpu_us", 6.0, "analysis")
        own = (Reading("cpu_us", 30.0 + shift), plane, analysis, Reading("observed", observed))
        made.add(SCENARIO, by_name["sidecar"], Outcome(own))
        made.add(SCENARIO, by_name["haproxy"], Outcome((Reading("cpu_us", 20.0),)))
        made.add(SCENARIO, by_name["direct"], Outcome((Reading("rate", 1.0),)))
    made.add(SCENARIO, by_name["nginx"], Outcome(problems=("3 read errors",)))
    return made


def test_table() -> None:
    """Peers in their order, parts indented below them, medians with spread, ratios to HAProxy."""
    rounds = report.in_order(results().outcomes["keepalive"], PEERS)
    rows = [line.split("  ") for line in report.table(SCENARIO, rounds).splitlines()[2:]]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert cells == [
        ["direct", "-", "-", "-"],
        ["haproxy", "20.0 (20.0..20.0)", "1.00x", "-"],
        ["nginx", "invalid", "-", "invalid"],
        ["sidecar", "31.0 (30.0..32.0)", "1.55x", "100.0 (100.0..100.0)"],
        ["data plane", "24.0 (24.0..24.0)", "1.20x", "-"],
        ["analysis", "6.0 (6.0..6.0)", "0.30x", "-"],
    ]


def test_text_tells_why_a_figure_is_invalid() -> None:
    """Problems stand under the tables with scenario and peer, once each."""
    text = report.text(results(), [SCENARIO], PEERS, {"cpu": "a"})
    assert text.count("keepalive / nginx: 3 read errors") == 1


def test_document_is_json_without_nan() -> None:
    """The document can be read back by a strict parser, and says that it is not valid."""
    document = report.document(results(), [SCENARIO], PEERS, {"cpu": "a"})
    read = json.loads(json.dumps(document, allow_nan=False))
    assert read["valid"] is False
    figures = {(f["peer"], f["role"], f["metric"]): f for f in read["scenarios"][0]["figures"]}
    assert figures[("nginx", "", "cpu_us")]["median"] is None
    assert figures[("sidecar", "data plane", "cpu_us")]["ratio"] == 1.2
    assert len(read["scenarios"][0]["rounds"]["sidecar"]) == 3


def test_verdicts() -> None:
    """A ratio reaches the goal, the bar, or neither, in the metric's own direction."""
    low = bars.Bar("x", "s", "m", "", "haproxy", 2.0, 1.4)
    high = bars.Bar("x", "s", "m", "", "haproxy", 0.7, 1.0, "higher")
    assert [low.verdict(value) for value in (1.4, 1.41, 2.1, None)] == [
        "goal",
        "bar",
        "missed",
        "not measured",
    ]
    assert [high.verdict(value) for value in (1.0, 0.9, 0.5)] == ["goal", "bar", "missed"]


def test_bars_say_when_not_everything_was_observed() -> None:
    """A ratio that was reached by thinning is told as such."""
    rows = report.bars(results(observed=60.0), [SCENARIO], PEERS)
    assert rows[0].reached["sidecar"].verdict == "goal, 60 % observed"
    assert report.bars(results(), [SCENARIO], PEERS)[0].reached["sidecar"].verdict == "goal"


def test_builds_stand_beside_the_sidecar() -> None:
    """Every build has its own figures; a variant of the sidecar has none."""
    build = sidecar.build("compiled", ["python", "-m", "exporter"])
    made = results()
    made.add(SCENARIO, build, Outcome((Reading("cpu_us", 10.0, "data plane"),)))
    rows = report.bars(made, [SCENARIO], [*PEERS, build])
    assert {name: reached.value for name, reached in rows[0].reached.items()} == {
        "sidecar": 1.2,
        "compiled": 0.5,
    }


def test_markdown_is_a_table_of_the_figures_to_reach() -> None:
    """A row per figure, a column per build of the sidecar, no cell that would break the table, then the facts."""
    build = sidecar.build("compiled", ["python", "-m", "exporter"])
    rows = report.bars(results(observed=60.0), [SCENARIO], [*PEERS, build])
    text = report.markdown(rows, {"cpu": "fast", "kernel": "new"})
    table, _, facts = text.partition("\n\n")
    lines = [line.removeprefix("| ").removesuffix(" |").split(" | ") for line in table.splitlines()]
    assert lines[0] == ["figure", "against", "sidecar", "compiled", "bar", "goal"]
    assert lines[1] == ["---"] * 6
    assert len(lines) == 2 + len(bars.BARS)
    assert all(len(line) == 6 for line in lines)
    assert lines[2] == [bars.BARS[0].what, "haproxy", "1.20x (goal, 60 % observed)", "-", "≤ 2x", "≤ 1.4x"]
    assert lines[-1][-2:] == ["≤ 1000 ms", "≤ 200 ms"]
    assert facts == "cpu: fast; kernel: new.\n"


def test_nothing_is_said_where_nothing_is_owed() -> None:
    """A figure that is only told has no verdict, and what is owed without a goal is reached at best."""
    told = bars.Bar("x", "s", "m", "", "", None, None)
    assert [told.verdict(value) for value in (5.0, None)] == ["", "not measured"]
    owed = bars.Bar("x", "s", "m", "", "", 2.0, None)
    assert [owed.verdict(value) for value in (1.0, 3.0)] == ["bar", "missed"]


def test_what_was_skipped_is_told() -> None:
    """A note stands in the text and in the document, once for all peers, and makes nothing invalid."""
    made = results()
    for peer in PEERS[:2]:
        made.add(SCENARIO, peer, Outcome(notes=("skipped: too few descriptors",)))
    assert made.notes == ["keepalive: skipped: too few descriptors"]
    text = report.text(made, [SCENARIO], PEERS, {"cpu": "a"})
    assert text.count("skipped: too few descriptors") == 1
    assert report.document(made, [SCENARIO], PEERS, {})["notes"] == made.notes


def test_bars_name_what_is_measured() -> None:
    """Every bar's scenario, metric and peer exist."""
    metrics = {scenario.name: {metric.name for metric in scenario.metrics} for scenario in SCENARIOS}
    peers = {peer.name for peer in PEERS}
    assert all(bar.metric in metrics[bar.scenario] and bar.against in {*peers, ""} for bar in bars.BARS)


def test_turns_move_on() -> None:
    """Every peer has every place of the order in turn."""
    first, second, third, *_ = peers = PEERS[:3]
    assert [turns(peers, n) for n in (0, 1, 3)] == [
        [first, second, third],
        [second, third, first],
        [first, second, third],
    ]
