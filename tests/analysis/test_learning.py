"""learning.py: a reference from the traffic of a model that has none."""

from pathlib import Path

import numpy as np
import pytest

from exporter.analysis.engine import Engine
from exporter.analysis.known import Known
from exporter.analysis.learning import Learning
from exporter.parts.references import References
from exporter.records.exchange import Exchange
from tests.analysis.world import BOUNDS, NOW, feed, found, profile, v2

HOUR = 3600.0


def exchanges(count: int, name: str = "iris", seed: int = 1) -> list[Exchange]:
    rng = np.random.default_rng(seed)
    words = ["rome", "oslo"]
    return [
        v2(
            {"age": rng.normal(40, 5, 10).tolist(), "city": [words[n % 2]] * 10},
            {"label": rng.integers(0, 3, 10).tolist()},
            name=name,
        )
        for n in range(count)
    ]


def learning_engine(*references: str) -> Engine:
    made = Engine(References(references).profiles, Known(windows=(300.0,)), BOUNDS, NOW)
    made.learning = Learning(1000, HOUR)
    return made


def test_learned_once_and_shared(tmp_path: Path) -> None:
    """Rows and time enough: one profile, in a file; a second replica that learned other rows uses the first one's."""
    file = tmp_path / "learned.json"
    first, second = learning_engine(), learning_engine()
    places = [References((), str(file)) for _ in range(2)]
    used = []
    for made, references, seed in ((first, places[0], 1), (second, places[1], 2)):
        learning = made.learning
        assert learning is not None
        feed(made, exchanges(90, seed=seed), NOW)
        feed(made, exchanges(5, "wine"), NOW + HOUR)  # another model is not mixed in
        assert not learning.ready
        feed(made, exchanges(20, seed=seed + 5), NOW + HOUR)
        assert learning.ready
        references.publish(learning)
        assert not learning.active
        while not references.look():
            pass
        made.use(references.profiles, NOW + HOUR)
        used.append(found(made.snapshot().samples(), "model.reference.bin.rows"))
    assert used[0] == used[1] != {}
    (one,) = places[0].profiles
    assert (one.source, one.model_name, one.names) == ("learned", "iris", ("age", "city", "label"))
    assert one.column("label").role == "prediction"
    feed(first, exchanges(9), NOW + HOUR)
    assert sum(found(first.snapshot().samples(), "model.prediction.bin").values()) >= 90


def test_models_that_have_a_reference_are_not_learned(tmp_path: Path) -> None:
    """Nothing is taken of them."""
    made = Engine([profile("iris", "*")], Known(windows=(300.0,)), BOUNDS, NOW)
    made.learning = Learning(1000, HOUR)
    feed(made, exchanges(10))
    assert made.learning.rows == 0
    feed(made, exchanges(10, "wine"))
    assert made.learning.rows == 100


def test_nulls_long_texts_and_other_shapes_do_no_harm() -> None:
    """Whatever comes, rows are counted; a text that may be anybody's is not kept."""
    made = learning_engine()
    odd = [
        v2({"age": [1.0, 2.0], "note": ["a text of more than four words", "x" * 99]}, {"label": [1, 0]}),
        v2({"age": ["a", "b"], "other": [1.0, 2.0]}, {"age": [0.5, 0.5]}),
        v2({"age": [float("1e308"), -0.0]}, {"label": [1, 0]}),
    ]
    feed(made, odd * 400, NOW)
    feed(made, odd, NOW + HOUR)
    assert made.learning is not None
    assert made.learning.ready
    assert "words" not in made.learning.profile().to_json()


def test_a_file_that_is_not_there_yet_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is awaited; one that is no profile is told."""
    References((), str(tmp_path / "later.json"))
    assert caplog.text == ""
    (tmp_path / "wrong.json").write_text("{}")
    References((), str(tmp_path / "wrong.json"))
    assert "is not used" in caplog.text
