"""Learning a reference from live batches: enough rows and time, frozen, one file for all replicas."""

from pathlib import Path
from threading import Barrier, Thread

import numpy as np
import pytest

from exporter.stats.bins import OTHER, CategoricalBins
from exporter.stats.profiles.build import Column, ProfileConfig, build
from exporter.stats.profiles.learn import LearnConfig, Learner, published
from exporter.stats.profiles.profile import Profile, ProfileError, load
from exporter.stats.profiles.sketch import HITTERS

DAY = 86_400.0
RNG = np.random.default_rng(12)


def _learned(rows: int = 12_000, days: float = 1.0, seed: int = 1) -> Learner:
    rng = np.random.default_rng(seed)
    learner = Learner(LearnConfig(model_name="m"))
    for part in range(24):
        size = rows // 24
        batch = {
            "x": rng.normal(size=size),
            "w": rng.choice(np.array(["a", "b"], object), size),
            "y": rng.random(size).astype(np.float32),
        }
        learner.update(1000.0 + days * DAY * part / 23, batch, {"y": "prediction"})
    return learner


@pytest.mark.parametrize(
    ("rows", "days", "ready"), [(12_000, 1.0, True), (12_000, 0.9, False), (9600, 1.0, False)]
)
def test_it_takes_rows_and_a_whole_day(rows: int, days: float, ready: bool) -> None:
    """Both; before that there is no profile."""
    learner = _learned(rows, days)
    assert learner.ready is ready
    if not ready:
        with pytest.raises(ValueError, match="too few or over too short"):
            learner.profile()
    assert not Learner(LearnConfig()).ready


def test_a_learned_profile_is_that_of_its_rows() -> None:
    """The same bins and counts as the same rows in one array; it says where it comes from."""
    learner = Learner(LearnConfig(least_rows=100, least_seconds=0))
    x = RNG.normal(size=1000)
    w = RNG.choice(np.array(["a", "b", None], object), 1000)
    null = RNG.random(1000) < 0.1
    for part in np.array_split(np.arange(1000), 13):
        learner.update(0.0, {"x": x[part], "w": w[part]}, nulls={"x": null[part]})
    expected = build({"x": Column(x, null=null), "w": Column(w)}, ProfileConfig())
    found = learner.profile()
    assert found.source == "learned"
    assert [(c.bins, c.counts) for c in found.columns] == [(c.bins, c.counts) for c in expected.columns]
    assert found.column("x").mean == pytest.approx(expected.column("x").mean)


def test_columns_are_those_of_the_first_batch() -> None:
    """What comes later is ignored and counted; what is missing is null; tables are no columns."""
    learner = Learner(LearnConfig(least_rows=100, least_seconds=0))
    learner.update(0.0, {})
    learner.update(
        0.0, {"x": RNG.normal(size=100), "w": np.array(["a"] * 100, object), "v": np.zeros((100, 3))}
    )
    learner.update(1.0, {"x": RNG.normal(size=50), "new": np.zeros(50)})
    assert (learner.rows, learner.ignored) == (150, 50)
    found = learner.profile()
    assert found.names == ("x", "w")
    assert found.column("w").missing == 50


def test_memory_is_bounded() -> None:
    """Categories beyond the bound are one, and no category; rows beyond it are sampled."""
    learner = Learner(LearnConfig(least_rows=100, least_seconds=0))
    for start in range(0, 3 * HITTERS, 1000):
        words = [f"w{start + i}" if i % 2 else "often" for i in range(1000)]
        learner.update(0.0, {"w": np.array(words, object), "x": RNG.normal(size=1000)})
    column = learner.profile().column("w")
    assert isinstance(column.bins, CategoricalBins)
    assert column.bins.categories == ("often",)
    assert column.bins.rest == OTHER


def test_one_file_for_all_replicas(tmp_path: Path) -> None:
    """Many replicas publish at once: all use the profile of one, and no part file stays."""
    path = tmp_path / "learned.json"
    mine = [_learned(seed=seed).profile() for seed in range(6)]
    barrier = Barrier(len(mine))
    used: list[Profile] = []

    def replica(profile: Profile) -> None:
        barrier.wait()
        used.append(published(profile, path))

    threads = [Thread(target=replica, args=(profile,)) for profile in mine]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({profile.sha256 for profile in used}) == 1
    assert used[0].sha256 in {profile.sha256 for profile in mine}
    assert [file.name for file in tmp_path.iterdir()] == ["learned.json"]


def test_it_is_never_learned_again(tmp_path: Path) -> None:
    """After a restart the file decides, whatever was learned since."""
    path = tmp_path / "learned.json"
    first = published(_learned(seed=1).profile(), path)
    assert published(_learned(seed=2).profile(), path) == first == load(path)


def test_a_file_that_is_no_profile_is_left_alone(tmp_path: Path) -> None:
    """It is told, and not overwritten."""
    path = tmp_path / "learned.json"
    path.write_text("mine")
    with pytest.raises(ProfileError):
        published(_learned().profile(), path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (LearnConfig(least_rows=5), "least_rows: 5"),
        (LearnConfig(least_seconds=-1), "least_seconds: -1"),
        (LearnConfig(bins=1), "bins: 1"),
    ],
)
def test_settings_have_bounds(config: LearnConfig, expected: str) -> None:
    """All problems in one message."""
    with pytest.raises(ValueError, match=expected):
        Learner(config)
