"""kept_joint.py: what columns have in common, over a restart; of another reference it begins anew and is said."""

import pytest

from exporter.analysis.engine import Engine
from exporter.analysis.kept import KeptSide, packed, unpacked
from exporter.analysis.kept_joint import JOINT
from exporter.analysis.known import Known
from exporter.analysis.window_report import gauges
from exporter.stats import Profile
from exporter.stats.profiles.build import Column as Data
from exporter.stats.profiles.build import ProfileConfig, build
from tests.analysis.test_joint import MODEL, REFERENCE, ROWS, engine, rows
from tests.analysis.world import BOUNDS, NOW, feed, found, v2


def busy() -> Engine:
    """Of 600 rows, a request each."""
    made, data = engine(), rows(2, 600, "apart")
    cells = {name: values.tolist() for name, values in data.items()}
    feed(
        made,
        [
            v2({name: [own[at]] for name, own in cells.items() if name != "y"}, {"y": [cells["y"][at]]})
            for at in range(600)
        ],
    )
    return made


def sides_of(made: Engine) -> list[KeptSide]:
    return unpacked(packed([KeptSide(**head, windows=write()) for head, write in made.kept()]))


def test_what_columns_have_in_common_comes_back() -> None:
    """Every gauge of pairs, whole rows and associations is as it was, and counts on with what comes later."""
    first, second = busy(), engine()
    kept = sides_of(first)
    assert [one.side for one in kept] == ["feature", "prediction", JOINT]
    assert [second.restore(one, NOW) for one in kept] == ["", "", ""]
    assert gauges(second.windows(NOW)) == gauges(first.windows(NOW))
    for family in ("model.window.correlation", "model.window.association"):
        assert found(gauges(second.windows(NOW)), family)
    distances = found(gauges(second.windows(NOW)), "model.drift.effective_rows")
    assert distances[*MODEL, "", "", "5m", "mahalanobis", REFERENCE.reference, "live"] == pytest.approx(
        600, rel=0.01
    )


def test_a_copy_is_kept_and_not_what_comes_later() -> None:
    """What is counted while it is written does not show."""
    first, second = busy(), engine()
    writers = list(first.kept())
    before = gauges(first.windows(NOW))
    feed(first, [v2({"a": [9.0], "b": [9.0], "c": [9.0], "city": ["rome"]}, {"y": [99.0]})] * 50)
    for head, write in writers:
        assert second.restore(KeptSide(**head, windows=write()), NOW) == ""
    assert gauges(second.windows(NOW)) == before


def other() -> Profile:
    """Of the same columns, with other rows."""
    data = rows(5, ROWS)
    columns = {name: Data(values) for name, values in data.items() if name != "y"}
    return build(columns | {"y": Data(data["y"], "prediction")}, ProfileConfig(*MODEL))


@pytest.mark.parametrize(
    ("profiles", "problem"),
    [
        ((), "columns together, of which no reference in use tells"),
        ((other(),), f"columns together of reference {REFERENCE.reference}, another is in use"),
    ],
    ids=["none", "other"],
)
def test_of_another_reference_it_begins_anew(profiles: tuple[Profile, ...], problem: str) -> None:
    """The problem names the model and both references."""
    made = Engine(profiles, Known(windows=(300.0, 3600.0)), BOUNDS, NOW)
    kept = next(one for one in sides_of(busy()) if one.side == JOINT)
    assert made.restore(kept, NOW) == f"model iris version 1: {problem}"


def test_what_has_counted_already_keeps_its_own() -> None:
    """Nothing is counted twice."""
    kept = next(one for one in sides_of(busy()) if one.side == JOINT)
    assert "has counted already" in busy().restore(kept, NOW)
