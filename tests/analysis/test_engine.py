"""engine.py: which series an exchange goes to, and what is said about those that go nowhere."""

import json
import logging
from typing import Any

import pytest

from exporter.analysis import engine as module
from exporter.analysis.engine import (
    FAILED,
    IDLE_SECONDS,
    MAX_OUTCOMES,
    MAX_SERIES,
    REQUEST_ONLY,
    Engine,
)
from exporter.analysis.known import Known
from exporter.analysis.window_report import gauges
from exporter.decode import REASONS, pushed
from exporter.decode.pushed import NAME as PUSHED
from exporter.decode.pushed import record
from exporter.records.catalogue import metric
from exporter.records.exchange import Exchange
from exporter.stats import Profile
from tests.analysis.world import BOUNDS, NOW, TRACE, feed, found, profile, v1, v2
from tests.decode.exchanges import exchange

V2, V1 = "open_inference_v2", "kserve_v1"


def engine(*profiles: Profile, name: str = "", version: str = "", **known: Any) -> Engine:
    return Engine(profiles, Known(name, version, (300.0,), **known), BOUNDS, NOW)


def headed(*fields: str, **changes: Any) -> Exchange:
    """A plain exchange whose request head has these fields."""
    head = "\r\n".join(["POST /v2/models/iris/infer HTTP/1.1", *fields, "", ""]).encode()
    return v2({"x": [1.0]}, {"y": [0.5]}, **changes, request_head=head)


def outcomes(made: Engine) -> dict[tuple[str, ...], int]:
    decoded = found(made.snapshot().samples(), "model.exchanges.decoded")
    return {labels: count for labels, count in decoded.items() if count}


def versions(made: Engine) -> set[tuple[str, str]]:
    return {labels[:2] for labels in found(made.snapshot().samples(), "model.info")}


def test_predictions_and_bins_of_a_decoded_exchange() -> None:
    """One exchange moves its outcome, its classes and the bins of its columns."""
    made = engine()
    feed(made, [v2({"age": [40.5, 41.5]}, {"label": [1, 1]})])
    samples = list(made.snapshot().samples())
    assert outcomes(made) == {("iris", V2, "decoded"): 1}
    assert found(samples, "model.predictions") == {("iris", "1", "label", "1", "live"): 2}
    assert sum(found(samples, "model.feature.bin").values()) == 2


@pytest.mark.parametrize("label", ["numbers", "texts"])
def test_profile_with_bins_at_zero_from_the_start(label: str) -> None:
    """All bins of a profile whose model is known by name exist before any traffic."""
    made = engine(profile("iris", "1", label))
    samples = list(made.snapshot().samples())
    bins = found(samples, "model.prediction.bin")
    assert bins
    assert set(bins.values()) == {0}
    assert {labels[:3] for labels in bins} == {("iris", "1", "label")}
    assert any(labels[4] == "<empty>" for labels in found(samples, "model.feature.bin"))
    assert found(samples, "model.profile.mismatches") == {
        ("iris", reason): 0 for reason in ("missing_column", "extra_column", "wrong_type")
    }


def test_profile_of_any_version_starts_under_unknown_until_a_version_is_told() -> None:
    """The first version that an answer tells takes the place of the empty series of `unknown`."""
    made = engine(profile("iris", "*"))
    assert versions(made) == {("iris", "unknown")}
    feed(made, [v2({"age": [1.5], "city": ["rome"]}, {"label": [1]}, model_version="unknown")])
    assert versions(made) == {("iris", "1")}
    assert made.learned == {"iris": "1"}


def test_unknown_version_that_was_counted_stays() -> None:
    """Counts under `unknown` do not vanish when a version is told later."""
    made = engine(profile("iris", "*"))
    feed(made, [v2({"age": [1.5], "city": ["rome"]}, {"label": [1]}, version="")])
    feed(made, [v2({"age": [1.5], "city": ["rome"]}, {"label": [1]})])
    assert versions(made) == {("iris", "unknown"), ("iris", "1")}


def test_configured_name_and_version_win() -> None:
    """A configured model has its profile's bins from the start, and answers do not rename it."""
    made = engine(profile("*", "*"), name="iris", version="7")
    assert versions(made) == {("iris", "7")}
    feed(made, [v2({"age": [1.5], "city": ["rome"]}, {"label": [1]}, model_version="7")])
    assert versions(made) == {("iris", "7")}
    assert made.learned == {}


def test_new_version_in_answers_counts_at_once() -> None:
    """What the data plane labels with the version learned last is overruled by the answer itself."""
    made = engine()
    feed(made, [v2({"x": [1.0]}, {"y": [0.5]}, model_version="unknown")])
    flapping = [v2({"x": [1.0]}, {"y": [0.5]}, version=v, model_version="1") for v in ("2", "1", "2", "1")]
    feed(made, flapping)
    totals = {
        labels[1]: count for labels, count in found(made.snapshot().samples(), "model.predictions").items()
    }
    assert totals == {"1": 3, "2": 2}


def test_version_in_the_path_wins_over_the_answer() -> None:
    """A version that the caller asked for by path is the version."""
    one = v2({"x": [1.0]}, {"y": [0.5]}, version="3", model_version="prod")
    changed = exchange(
        "/v2/models/iris/versions/prod/infer", one.request_body, one.response_body, model_version="prod"
    )
    made = engine()
    feed(made, [changed])
    assert versions(made) == {("iris", "prod")}
    assert made.learned == {}


def test_most_specific_profile_is_chosen_and_how_it_was_found_is_told() -> None:
    """Exact before inherited before none; the pattern with more literal characters wins."""
    broad, narrow, other = profile("*"), profile("iris", "1"), profile("ir*", "9", label="texts")
    made = engine(broad, narrow, other)
    feed(made, [v2({"x": [1.0]}, {"y": [0.5]})])
    lonely = engine(other)
    feed(lonely, [v2({"x": [1.0]}, {"y": [0.5]})])
    feed(lonely, [v2({"x": [1.0]}, {"y": [0.5]}, name="wine")])
    assert set(found(made.snapshot().samples(), "model.info")) == {
        ("iris", "1", V2, narrow.reference, "exact", "live", "unknown", "unknown")
    }
    assert set(found(lonely.snapshot().samples(), "model.info")) == {
        ("iris", "1", V2, other.reference, "inherited", "live", "unknown", "unknown"),
        ("wine", "1", V2, "", "none", "live", "unknown", "unknown"),
    }


def test_profile_that_does_not_fit_is_counted_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Exchanges are counted by reason, the log has one line per model."""
    made = engine(profile("iris"))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            feed(made, [v2({"width": [1.5]}, {"label": ["x"]})])
    mismatches = found(made.snapshot().samples(), "model.profile.mismatches")
    assert mismatches == {
        ("iris", "missing_column"): 3,
        ("iris", "extra_column"): 3,
        ("iris", "wrong_type"): 3,
    }
    assert len(caplog.records) == 1
    assert "iris" in caplog.text


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"request_captured": False}, "not_captured"),
        ({"status": 301}, "not_2xx"),
        ({"status": 503, "error_type": "shed"}, "not_2xx"),
        ({"status": 422, "request_body": b"{}"}, "not_2xx"),
        ({"status": 0}, "not_2xx"),
        ({"response_body": b"<html>"}, "not_json"),
        ({"request_body": b"{}"}, "missing_field"),
        ({"response_head": b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\n\r\n"}, "content_coding"),
    ],
)
def test_what_cannot_be_read_is_counted_by_reason(changes: dict[str, object], reason: str) -> None:
    """An exchange whose body says nothing moves one outcome, which existed at 0 with all others."""
    made = engine()
    feed(made, [v2({"x": [1.0]}, {"y": [0.5]}, **changes)])
    assert outcomes(made) == {("iris", V2, reason): 1}
    every = found(made.snapshot().samples(), "model.exchanges.decoded")
    assert {labels[2] for labels in every} == {"decoded", REQUEST_ONLY, FAILED, *REASONS}


def test_nan_and_infinity_in_json_are_values() -> None:
    """Bare NaN and Infinity, which JSON does not have but servers write, are counted in their bins."""
    made = engine()
    body = json.dumps({"instances": [[float("nan")], [float("inf")], [1.0]]}).encode()
    answer = json.dumps({"predictions": [float("nan"), float("-inf"), 0.5]}).encode()
    feed(made, [exchange("/v1/models/m:predict", body, answer, model_version="unknown")])
    bins = found(made.snapshot().samples(), "model.prediction.bin")
    assert outcomes(made) == {("m", V1, "decoded"): 1}
    assert bins["m", "unknown", "prediction", "", "<nan>", "live"] == 1
    assert sum(bins.values()) == 3


@pytest.mark.parametrize("protocol", ["grpc", "somebody_elses"])
def test_protocol_without_a_dialect(protocol: str) -> None:
    """It is counted as such, with the few outcomes that it can have; nothing else happens."""
    made = engine()
    feed(made, [v2({"x": [1.0]}, {"y": [1.0]}, protocol=protocol)])
    assert outcomes(made) == {("iris", protocol, "no_dialect"): 1}
    assert len(found(made.snapshot().samples(), "model.exchanges.decoded")) == 3


def test_decoder_that_raises_is_logged_once_and_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect of a decoder costs its exchanges, not the process."""

    def broken(*_: object) -> None:
        raise RuntimeError("defect")

    monkeypatch.setattr(module, "observe", broken)
    made = engine()
    feed(made, [v2({"x": [1.0]}, {"y": [0.5]})] * 3)
    assert outcomes(made) == {("iris", V2, FAILED): 3}
    assert len(caplog.records) == 1


def test_switched_off_dialect_decodes_nothing() -> None:
    """A dialect that is switched off leaves its exchanges without one; the others go on."""
    made = engine()
    made.speakers.switch_off([V2])
    feed(made, [v2({"x": [1.0]}, {"y": [0.5]}), v1([1.0], [0.5])])
    assert outcomes(made) == {("iris", V2, "no_dialect"): 1, ("m", V1, "decoded"): 1}


def test_versions_are_bounded_and_idle_ones_retire() -> None:
    """Over the bound a new version counts under <other>, unless one has been idle for long: that one goes."""
    made = engine()
    for n in range(MAX_SERIES):
        feed(made, [v2({"x": [1.0]}, {"y": [0.5]}, version=f"v{n}")], NOW + n)
    feed(made, [v2({"x": [1.0]}, {"y": [0.5]}, version="late")], NOW + 40)
    assert ("<other>", "<other>") in versions(made)
    assert ("iris", "late") not in versions(made)
    feed(made, [v2({"x": [1.0]}, {"y": [0.5]}, version="later")], NOW + IDLE_SECONDS + 0.5)
    assert ("iris", "later") in versions(made)
    assert ("iris", "v0") not in versions(made)
    assert ("iris", "v1") in versions(made)
    assert len(versions(made)) <= MAX_SERIES + 1


def test_outcomes_are_bounded() -> None:
    """Names that only fail do not grow the series without bound, and no exchange is lost."""
    made = engine()
    feed(made, [v2({}, {}, name=f"m{n}", status=500) for n in range(MAX_OUTCOMES + 20)])
    counts = outcomes(made)
    assert counts["<other>", "<other>", "not_2xx"] == 20
    assert sum(counts.values()) == MAX_OUTCOMES + 20


def test_long_names_from_bodies_are_cut() -> None:
    """Names and versions of bodies are no longer than label values may be."""
    made = engine()
    feed(made, [v2({"x": [1.0]}, {"y": [0.5]}, version="v" * 5000, name="n" * 5000, model_name="unknown")])
    assert all(len(text) <= 128 for labels in versions(made) for text in labels)


def test_exemplars_are_kept_for_sampled_exchanges_only() -> None:
    """An exchange without a trace leaves no exemplar, an undecodable one with a trace does."""
    made = engine()
    feed(made, [v2({"x": [1.0]}, {"y": [0.5]}), v2({}, {}, trace=TRACE, duration=5_000_000)])
    ((labels, buckets),) = made.exemplars.copy().items()
    assert labels == ("iris", "1", "predict", V2, "200")
    assert {place: one.trace_id for place, one in buckets.items()} == {1: TRACE.trace_id}


def test_shape_changes_with_the_series() -> None:
    """It is the same while only counts move, and another one when there is something new to export."""
    made = engine()
    shapes = []
    for outputs in ({"y": ["a"]}, {"y": ["a"]}, {"y": ["b"]}):
        feed(made, [v2({"x": [1.0]}, outputs)])
        shapes.append(made.shape)
    assert shapes[0] == shapes[1] != shapes[2]


def pushed_record(**fields: Any) -> Any:
    return record({"features": {"age": [31, 44]}, "predictions": ["a", "b"], **fields}, NOW)


def test_what_is_pushed_counts_as_what_crossed_the_wire() -> None:
    """Under the names that it tells, in the same series; refusals count by reason, and all of those exist at 0."""
    made = engine(profile("iris", "1", "texts"))
    feed(made, [v2({"age": [40.0], "city": ["rome"]}, {"label": ["a"]})])
    made.push(pushed_record(model_name="iris", model_version="1"), NOW)
    made.push("rows_differ", NOW)
    made.flush(NOW)
    states = {(state.key.model_name, state.key.model_version): state for state in made.snapshot().states}
    assert states.keys() == {("iris", "1")}
    assert states["iris", "1"].sides[0].totals.rows("age") == 3
    assert outcomes(made) == {
        ("iris", V2, "decoded"): 1,
        ("iris", PUSHED, "decoded"): 1,
        ("unknown", PUSHED, "rows_differ"): 1,
    }
    kept = made.snapshot().outcomes
    assert {word for name, protocol, word in kept if (name, protocol) == ("iris", PUSHED)} == {
        "decoded",
        *pushed.REASONS,
        FAILED,
    }
    assert made.learned == {}


@pytest.mark.parametrize(
    ("known", "told", "series"),
    [
        (Known(), {}, ("unknown", "unknown")),
        (Known("prod", "9"), {}, ("prod", "9")),
        (Known("prod", "9"), {"model_name": "batch", "model_version": "2"}, ("batch", "2")),
        (Known(), {"model_name": "iris"}, ("iris", "7")),
        (Known(), {"model_name": "iris", "model_version": "6"}, ("iris", "6")),
    ],
)
def test_names_of_what_is_pushed(known: Known, told: dict[str, str], series: tuple[str, str]) -> None:
    """What the record tells, else what is configured, else the version that answers told last."""
    made = Engine([], known, BOUNDS, NOW)
    made.learned["iris"] = "7"
    made.push(pushed_record(**told), NOW)
    made.flush(NOW)
    assert versions(made) == {series}


def test_what_is_pushed_is_bounded_as_exchanges_are() -> None:
    """Over the bound a new version counts under <other>."""
    made = engine()
    for number in range(MAX_SERIES + 5):
        made.push(pushed_record(model_name=f"m{number}"), NOW)
        made.flush(NOW)
    assert len(versions(made)) == MAX_SERIES + 1
    assert ("<other>", "<other>") in versions(made)


# ---------------------------------------------------------------- what counts, and for whom


def rows(made: Engine) -> dict[str, int]:
    """Predicted rows by role."""
    counted = found(made.snapshot().samples(), "model.predictions")
    return {labels[-1]: count for labels, count in counted.items()}


def test_roles_are_counted_apart() -> None:
    """A mirror's answers have series of their own in every family, and its version is not told to the callers."""
    made = engine(profile("iris", "*"), role_header="x-role")
    shadow = headed("host: iris-shadow", version="2", model_version="unknown")
    feed(made, [headed("host: iris"), shadow, shadow, headed("x-role: canary"), headed("x-role: synthetic")])
    assert rows(made) == {"live": 1, "shadow": 2, "canary": 1, "synthetic": 1}
    assert made.learned == {}
    samples = [*made.snapshot().samples(), *gauges(made.windows(NOW))]
    for name in (
        "model.info",
        "model.prediction.bin",
        "model.feature.bin",
        "model.window.rows",
        "model.batch.rows",
    ):
        place = metric(name).labels.index("role")
        assert {sample.labels[place] for sample in samples if sample.name == name} == set(rows(made))


def test_what_is_left_out_is_counted_by_reason() -> None:
    """Probes and exchanges that their caller marks move nothing but their reason, which exists from the start."""
    made = engine(ignore_header="x-skip", warm_up_header="x-warm")
    assert found(made.snapshot().samples(), "model.exchanges.excluded") == dict.fromkeys(
        (("probe",), ("warm_up",), ("ignored",)), 0
    )
    health = headed(operation="health")
    feed(made, [headed("X-Skip: yes"), headed("x-warm: 1"), health, headed()])
    assert found(made.snapshot().samples(), "model.exchanges.excluded") == {
        ("probe",): 1,
        ("warm_up",): 1,
        ("ignored",): 1,
    }
    assert rows(made) == {"live": 1}
    assert outcomes(made) == {("iris", V2, "decoded"): 1}


def test_warm_up_of_each_version() -> None:
    """The first exchanges of a version are left out, whatever came of other versions and roles."""
    made = engine(warm_up=2)
    feed(made, [headed()] * 3 + [headed(version="2")] * 2 + [headed("host: a-shadow")] * 2)
    assert rows(made) == {"live": 1}
    assert found(made.snapshot().samples(), "model.exchanges.excluded")[("warm_up",)] == 6


def test_attempts_are_counted_and_not_merged() -> None:
    """Requests that come again with one id count again, and are counted as repeated."""
    made = engine()
    feed(made, [headed(request_id=one) for one in ("a", "a", "b", "")])
    assert found(made.snapshot().samples(), "model.requests.repeated") == {(): 1}
    assert rows(made) == {"live": 4}


def test_task_of_the_outputs_and_who_says_so() -> None:
    """Configured, by the server, or guessed after enough rows: model.info tells, as long as the series lives."""

    def told(made: Engine) -> set[tuple[str, ...]]:
        return {labels[-2:] for labels in found(made.snapshot().samples(), "model.info")}

    configured, guessed, served = engine(task="binary"), engine(), engine()
    feed(configured, [headed()])
    assert told(configured) == {("binary", "configured")}
    feed(guessed, [v2({"x": [1.0]}, {"y": [7.5] * 1}) for _ in range(999)])
    assert told(guessed) == {("unknown", "unknown")}
    feed(guessed, [v2({"x": [1.0]}, {"y": [7.5]})])
    assert told(guessed) == {("regression", "guessed")}
    regress = exchange("/v1/models/m:regress", b'{"examples":[{"a":1}]}', b'{"results":[0.5]}')
    feed(served, [regress])
    assert told(served) == {("regression", "server")}


def test_contradictions_are_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A model that is said to be a regression and answers with words is told once in the log."""
    made = engine(task="regression")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            feed(made, [v2({"x": [1.0]}, {"y": ["high"]})])
    assert found(made.snapshot().samples(), "model.task.contradictions") == {("iris", "1", "live"): 3}
    assert len(caplog.records) == 1
    assert "regression" in caplog.text


def test_ids_are_no_features() -> None:
    """A column that identifies rows has no bins, and is no extra column beside a profile."""
    made = engine(profile("iris"), id_columns=("id",))
    feed(made, [v2({"age": [40.0], "city": ["rome"], "id": ["k-1"]}, {"label": [1]})])
    samples = list(made.snapshot().samples())
    assert set(found(samples, "model.profile.mismatches").values()) == {0}
    assert {labels[2] for labels in found(samples, "model.feature.bin")} == {"age", "city"}


def test_certainty_of_a_classifier_is_windowed_like_an_output() -> None:
    """Probabilities give confidence, margin, entropy and the chosen class, beside the outputs themselves."""
    made = engine(profile("iris"), task="multiclass")
    feed(made, [v2({"age": [40.0], "city": ["rome"]}, {"a": [0.5], "b": [0.25], "c": [0.25]})] * 4)
    samples = [*made.snapshot().samples(), *gauges(made.windows(NOW))]
    assert found(samples, "model.predictions")["iris", "1", "predicted_class", "a", "live"] == 4
    means = {labels[2]: value for labels, value in found(samples, "model.window.mean").items()}
    assert means["confidence"] == 0.5
    assert means["margin"] == 0.25
    assert means["entropy"] == pytest.approx(1.0397207708)
    bins = found(samples, "model.prediction.bin")
    assert bins["iris", "1", "confidence", "", "0.5", "live"] == 4


def test_free_text_never_becomes_a_label() -> None:
    """Of words that nobody declared the aspects are counted, and no label holds one of them."""
    made = engine()
    secret = "my name is Jane Doe and my number is 555-0100"
    feed(made, [v2({"note": [secret]}, {"reply": [secret]})])
    feed(made, [v2({"tag": ["ok"]}, {"reply": ["ok"]}, name="short")])
    feed(made, [v2({"tag": [secret], "id": ["x" * 65]}, {"reply": [secret]}, name="short")])
    samples = [*made.snapshot().samples(), *gauges(made.windows(NOW))]
    assert not [
        sample for sample in samples if any("Jane" in text or "xxx" in text for text in sample.labels)
    ]
    features = {labels[2] for labels in found(samples, "model.feature.bin") if labels[0] == "iris"}
    assert features == {"note:length", "note:script", "note:form"}
    predictions = found(samples, "model.predictions")
    assert predictions["iris", "1", "reply", "", "live"] == 1
    assert predictions["short", "1", "reply", "<other>", "live"] == 1


def test_missing_cells_by_reason() -> None:
    """A key that is not there, null, NaN, the empty text and a declared value are told apart, once each."""
    made = engine(missing_values=("-999", "unknown"))
    rows = [
        *(
            {"n": 1.5, "t": "a", "u": 1},
            {"t": "", "u": -999},
            {"n": None, "t": None},
            {"n": -999.0, "t": "unknown"},
        ),
        {"n": float("nan"), "t": "b", "u": 2},
    ]
    feed(made, [v1(rows, [0.5] * 5, model_version="1")])
    assert found(made.snapshot().samples(), "model.feature.missing") == {
        ("m", "1", feature, reason, "live"): count
        for feature, reasons in {
            "n": {"absent": 1, "null": 1, "sentinel": 1, "nan": 1},
            "t": {"null": 1, "empty": 1, "sentinel": 1},
            "u": {"absent": 2, "sentinel": 1},
        }.items()
        for reason, count in reasons.items()
    }


def test_missing_texts_by_reason() -> None:
    """Of a text its form tells what is empty."""
    made = engine()
    rows = [{"note": "a text of more than four words"}, {"note": " "}, {}]
    feed(made, [v1(rows[:1] * 5, [0.5] * 5, model_version="1"), v1(rows, [0.5] * 3, model_version="1")])
    missing = found(made.snapshot().samples(), "model.feature.missing")
    assert missing == {("m", "1", "note", "empty", "live"): 1, ("m", "1", "note", "absent", "live"): 1}
