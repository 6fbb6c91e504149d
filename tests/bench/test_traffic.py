"""The bytes of the benchmark."""

import json
from pathlib import Path

from bench import traffic


def test_bodies_differ_and_stay_the_same_between_runs() -> None:
    """997 different requests of 13 features and about 300 bytes, equal in every process."""
    bodies = list(traffic.infer_bodies())
    assert len(set(bodies)) == traffic.VARIANTS
    assert bodies == list(traffic.infer_bodies())
    assert all(200 <= len(body) <= 400 for body in bodies)
    tensor = json.loads(bodies[0])["inputs"][0]
    assert tensor["shape"] == [1, 13]
    assert len(tensor["data"]) == 13


def test_answer_is_an_inference_answer() -> None:
    """The small answer is V2 JSON of about 300 bytes with one FP64 output of shape [1]."""
    head, _, body = traffic.answer(close=False).partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert 250 <= len(body) <= 400
    answer = json.loads(body)
    assert (answer["model_name"], answer["model_version"]) == ("bench", "1")
    assert [(o["datatype"], o["shape"], len(o["data"])) for o in answer["outputs"]] == [("FP64", [1], 1)]


def test_close_is_told_both_ways() -> None:
    """`Connection: close` is in requests and answers exactly when asked for."""
    for close in (False, True):
        assert (b"Connection: close\r\n" in traffic.answer(close)) is close
        assert (b"Connection: close\r\n" in traffic.request("POST", "/", b"{}", close)) is close


def test_the_file_for_wrk_splits_back(tmp_path: Path) -> None:
    """The separator occurs in no request."""
    path = traffic.write_requests(tmp_path / "requests", close=True)
    assert path.read_bytes().split(traffic.SEPARATOR) == traffic.infer_requests(close=True)
