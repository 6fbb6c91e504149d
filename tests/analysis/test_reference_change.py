"""Another reference under a model that is at work: bins and windows begin anew, classes count on."""

from typing import Any

from exporter.analysis.engine import Engine, Known
from exporter.stats import Profile
from tests.analysis.world import BOUNDS, NOW, profile, v2

LATER = NOW + 100.0
ONE = v2({"age": [40.5], "city": ["rome"]}, {"label": [1]})


def fed(engine: Engine, now: float) -> None:
    """One exchange, counted."""
    engine.record(ONE, engine.understand(ONE), now)
    engine.flush(now)


def found(engine: Engine, name: str) -> dict[str, tuple[float, float]]:
    """Per reference the sum and the created time of a family."""
    sums: dict[str, tuple[float, float]] = {}
    for sample in engine.snapshot(NOW).samples():
        if sample.name == name:
            key = sample.labels[3] if name.endswith("bin") else ""
            value: Any = sample.value
            sums[key] = (sums.get(key, (0.0, 0.0))[0] + value, sample.created)
    return sums


def other() -> Profile:
    """Of the same model, with another reference."""
    made = profile("iris", "1", rows=37)
    assert made.reference != profile("iris", "1").reference
    return made


def test_bins_begin_anew_and_classes_count_on() -> None:
    """The old reference's bins are gone; those of the new one start at 0 when it came into force."""
    first, second = profile("iris", "1"), other()
    engine = Engine([first], Known("", "", (300.0,)), BOUNDS, NOW)
    fed(engine, NOW)
    shape = engine.shape
    assert found(engine, "model.prediction.bin") == {first.reference: (1, NOW)}
    engine.use([second], LATER)
    assert engine.shape != shape
    assert found(engine, "model.prediction.bin") == {second.reference: (0, LATER)}
    fed(engine, LATER + 1)
    assert found(engine, "model.prediction.bin") == {second.reference: (1, LATER)}
    assert found(engine, "model.predictions") == {"": (2, NOW)}


def test_what_waits_is_counted_before() -> None:
    """An exchange that was recorded under the old reference is counted, and not lost."""
    engine = Engine([profile("iris", "1")], Known("", "", (300.0,)), BOUNDS, NOW)
    engine.record(ONE, engine.understand(ONE), NOW)
    engine.use([other()], LATER)
    assert found(engine, "model.predictions") == {"": (1, NOW)}


def test_the_same_reference_changes_nothing() -> None:
    """Bins and windows go on."""
    engine = Engine([profile("iris", "1")], Known("", "", (300.0,)), BOUNDS, NOW)
    fed(engine, NOW)
    shape = engine.shape
    engine.use([profile("iris", "1")], LATER)
    assert engine.shape == shape
    assert found(engine, "model.prediction.bin") == {profile("iris", "1").reference: (1, NOW)}


def test_a_reference_comes_and_goes() -> None:
    """Without one the model has bins that it was given by its traffic; a profile of a named model is there at once."""
    engine = Engine([], Known("", "", (300.0,)), BOUNDS, NOW)
    engine.use([profile("iris", "1")], LATER)
    reference = profile("iris", "1").reference
    assert found(engine, "model.prediction.bin") == {reference: (0, LATER)}
    engine.use([], LATER)
    fed(engine, LATER)
    assert reference not in found(engine, "model.prediction.bin")
    assert found(engine, "model.predictions") == {"": (1, LATER)}
