"""A component's process: found, lost, found again, never mistaken."""

from pathlib import Path

from exporter.collect.anchor import RECHECK_SECONDS, SEARCH_SECONDS, Anchor
from exporter.host.files import Files
from tests.host.trees import Tree


class Answers:
    """A finder that counts how often it was asked."""

    def __init__(self, pid: int | None) -> None:
        self.pid, self.asked = pid, 0

    def __call__(self) -> int | None:
        self.asked += 1
        return self.pid


def test_found_is_kept(tmp_path: Path) -> None:
    """While the process lives it is asked for once a minute, and kept when the search finds nothing."""
    Tree(tmp_path).began(5, 1)
    answers = Answers(5)
    anchor = Anchor(answers, Files(tmp_path))
    assert [anchor.pid(now) for now in (0.0, 1.0, RECHECK_SECONDS - 1)] == [5, 5, 5]
    assert answers.asked == 1
    answers.pid = None
    assert anchor.pid(RECHECK_SECONDS) == 5
    assert answers.asked == 2


def test_reused_id_is_another(tmp_path: Path) -> None:
    """An id with another beginning is searched for anew at once, and then stands for what the search says."""
    tree = Tree(tmp_path)
    tree.began(5, 1)
    answers = Answers(5)
    anchor = Anchor(answers, Files(tmp_path))
    assert anchor.pid(0.0) == 5
    tree.began(5, 2)
    assert not anchor.same()
    answers.pid = None
    assert anchor.pid(1.0) is None
    answers.pid = 5
    assert anchor.pid(2.0) is None  # searches are rare
    assert anchor.pid(1.0 + SEARCH_SECONDS) == 5


def test_given_id_is_one_process(tmp_path: Path) -> None:
    """A number that was given is not followed to the next process that has it."""
    tree = Tree(tmp_path)
    tree.began(5, 1)
    anchor = Anchor(5, Files(tmp_path))
    assert anchor.pid(0.0) == 5
    tree.began(5, 2)
    assert anchor.pid(1000.0) is None


def test_clock_set_back(tmp_path: Path) -> None:
    """A clock that is set back does not put searches off."""
    answers = Answers(None)
    anchor = Anchor(answers, Files(tmp_path))
    for now in (1_000_000.0, 5.0):
        anchor.pid(now)
    assert answers.asked == 2


def test_answer_that_is_gone(tmp_path: Path) -> None:
    """A process that ended between the search and the look is none."""
    assert Anchor(Answers(5), Files(tmp_path)).pid(0.0) is None
