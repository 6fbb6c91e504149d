"""`modeltap decode` on stored exchanges."""

import argparse
from pathlib import Path

import pytest

from exporter.commands.decode import EXPLANATIONS, add_arguments, run
from exporter.decode import DIALECTS
from tests.decode.cases import KNOWN

VECTORS = Path(__file__).parent.parent / "vectors"
REQUEST = b"POST /v1/models/m:predict HTTP/1.1\r\nhost: m\r\nx-request-id: r-1\r\n"
JSON = b"content-type: application/json\r\n"


def _run(*flags: object) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args(list(map(str, flags))))


def _sized(head: bytes, body: bytes) -> bytes:
    return head + JSON + b"content-length: %d\r\n\r\n" % len(body) + body


def _file(folder: Path, raw: bytes) -> Path:
    path = folder / "one.exchange"
    path.write_bytes(raw)
    return path


def _exchange(request: bytes, answer: bytes, status: bytes = b"200 OK") -> bytes:
    return _sized(REQUEST, request) + _sized(b"HTTP/1.1 " + status + b"\r\n", answer)


TABLES = (
    b'{"instances":[{"age":31,"city":"Oslo"},{"age":null,"city":"Bonn"},{"age":33.5,"city":"Oslo"}]}',
    b'{"predictions":[0.25,NaN,0.75]}',
)


def test_an_exchange_in_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The dialect, labels, and a line for each column; no value of a category is shown."""
    assert _run(_file(tmp_path, _exchange(*TABLES))) == 0
    told = capsys.readouterr()
    assert told.err == ""
    lines = [line.split() for line in told.out.splitlines()]
    assert lines[0] == ["POST", "/v1/models/m:predict", "->", "200"]
    for line in (
        *(["operation", "predict"], ["dialect", "kserve_v1"], ["model", "m"], ["version", "unknown"]),
        *(["request", "id", "r-1"], ["rows", "3"], ["role", "live"]),
        ["keys", "row", "0:", "request_id", "r-1", "#0"],
        ["inputs", "kind", "counted", "as", "count", "nulls", "absent", "min", "mean", "max"],
        ["age", "numeric", "numeric", "3", "1", "0", "31", "32.25", "33.5"],
        ["city", "categorical", "category", "3", "0", "0", "2", "distinct"],
        ["prediction", "numeric", "numeric", "3", "0", "0", "0.25", "0.5", "0.75", "1", "NaN"],
    ):
        assert line in lines
    assert "Oslo" not in told.out


def test_values_on_demand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first values are shown when asked for; what a terminal would obey is escaped."""
    rows = b",".join([b'{"a":"\\u001b[2J","b":1.5}'] * 25)
    answer = b'{"predictions":[%s]}' % b",".join([b"1"] * 25)
    assert _run(_file(tmp_path, _exchange(b'{"instances":[%s]}' % rows, answer)), "--values") == 0
    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "a: '\\x1b[2J', '\\x1b[2J'" in told
    assert "b: 1.5, 1.5" in told
    assert told.count("and 5 more") == 3


def test_request_and_answer_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """Two files are an exchange like one; a vector says how wide it is."""
    case = VECTORS / "kserve_v1" / "wide_rows_are_a_vector"
    request, answer = case.with_suffix(".request"), case.with_suffix(".response")
    assert _run("--request", request, "--answer", answer) == 0
    assert "65 wide" in capsys.readouterr().out


def test_a_side_without_columns_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Wide rows of texts are no vector."""
    words = b",".join([b'"a"'] * 70)
    assert _run(_file(tmp_path, _exchange(b'{"instances":[[%s]]}' % words, b'{"predictions":[1]}'))) == 0
    assert "inputs: no columns" in capsys.readouterr().out


def test_what_rows_mean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Role, task, keys and what each column is counted as; ids are no features, and of many rows a few are shown."""
    request = REQUEST.replace(b":predict", b":regress").replace(b"host: m", b"host: m-shadow")
    rows = b",".join(
        b'{"id":"k-%d","note":"a text of more than four words","at":"2024-02-29"}' % n for n in range(5)
    )
    body = b'{"examples":[%s]}' % rows
    raw = _sized(request, body) + _sized(b"HTTP/1.1 200 OK\r\n", b'{"results":[1,2,3,4,5]}')
    assert _run(_file(tmp_path, raw), "--id-columns", "id", "--join-keys", "column,request_id") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    for line in (
        *(["role", "shadow"], ["task", "regression,", "as", "the", "server", "tells"]),
        ["keys", "row", "0:", "column", "k-0", "#0,", "request_id", "r-1", "#0"],
        ["and", "those", "of", "2", "more", "rows"],
        ["id", "categorical", "id", "5", "0", "0", "5", "distinct"],
        ["note", "categorical", "text", "5", "0", "0", "1", "distinct"],
        ["at", "categorical", "datetime", "5", "0", "0", "1", "distinct"],
    ):
        assert line in lines


@pytest.mark.parametrize("flags", [("--id-columns", "a,a"), ("--join-keys", "id"), ("--role-header", "a b")])
def test_flags_that_cannot_be_used(flags: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, and what was expected."""
    with pytest.raises(SystemExit, match="2"):
        _run("file", *flags)
    told = capsys.readouterr().err
    assert repr(flags[1]) in told and "expected" in told


def test_an_exchange_without_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says that no label will find its rows."""
    raw = _exchange(*TABLES).replace(b"x-request-id: r-1\r\n", b"")
    assert _run(_file(tmp_path, raw)) == 0
    assert "keys        none" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("request_body", "answer_body", "status", "reason"),
    [
        (b"{", b"{}", b"200 OK", "not_json"),
        (b'{"instances":[1,2]}', b'{"predictions":[1]}', b"200 OK", "rows_differ"),
        (b"{}", b"{}", b"503 Service Unavailable", "not_2xx"),
    ],
)
def test_what_cannot_be_decoded(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    request_body: bytes,
    answer_body: bytes,
    status: bytes,
    reason: str,
) -> None:
    """Status 1, the reason, what it means, and what the dialect expects."""
    assert _run(_file(tmp_path, _exchange(request_body, answer_body, status))) == 1
    told = capsys.readouterr().out
    assert f"not decoded: {reason}" in told
    assert EXPLANATIONS[reason] in told
    assert "kserve_v1: KServe V1: POST" in told


def test_a_path_that_nobody_knows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a dialect all of them are listed; one that is asked for reads the bodies nevertheless."""
    path = _file(tmp_path, _exchange(*TABLES).replace(b"/v1/models/m:predict", b"http://m/score?a=b"))
    assert _run(path) == 1
    told = capsys.readouterr().out
    assert "POST /score -> 200" in told
    assert "not decoded: no_dialect" in told
    assert all(f"    {dialect.NAME}: " in told for dialect in DIALECTS)
    assert _run(path, "--dialect", "kserve_v1") == 0
    assert "dialect     kserve_v1" in capsys.readouterr().out
    assert _run(path, "--dialect", "open_inference_v2") == 1
    told = capsys.readouterr().out
    assert "open_inference_v2: Open Inference" in told
    assert "kserve_v1:" not in told


def test_transfer_coding_and_interim_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Chunks are put together, a 100 is passed over, blank lines may part the two, the close may end the answer."""
    request = (
        REQUEST + JSON + b'transfer-encoding: chunked\r\n\r\n9\r\n{"instanc\r\nA\r\nes":[1,2]}\r\n0\r\n\r\n'
    )
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n" + JSON + b'\r\n{"predictions":[1,2]}'
    assert _run(_file(tmp_path, request + b"\r\n\n" + answer)) == 0
    assert "rows        2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "no whole request"),
        (b"POST / HTTP/1.1\r\nhost: m\r\n", "no whole request"),
        (b"POST / HTTP/1.1\nhost: m\n\n", "no request at byte 0 (bare_lf)"),
        (b"{}", "no request at byte 0 (malformed_head)"),
        (_sized(REQUEST, b"{}"), "no whole answer"),
        (_sized(REQUEST, b"{}")[:-1], "the request's body ends after 1 bytes"),
        (_sized(REQUEST, b"{}") * 2, "no answer at byte"),
        (_exchange(b"{}", b"{}")[:-1], "the answer's body ends after 1 bytes"),
        (_exchange(b"{}", b"{}") * 2, "bytes more behind the end"),
        (REQUEST + b"\r\nHTTP/1.1 101 Switching Protocols\r\n\r\n", "the answer leaves HTTP"),
    ],
)
def test_what_is_no_exchange(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], raw: bytes, told: str
) -> None:
    """Status 2; the message says which file, what was found and what was expected."""
    path = _file(tmp_path, raw)
    assert _run(path) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"modeltap decode: error: {path}: " in shown.err
    assert told in shown.err
    assert "expected" in shown.err


@pytest.mark.parametrize(
    "flags", [(), ("--request", "a"), ("a", "--answer", "b"), ("a", "--request", "b", "--answer", "c")]
)
def test_which_files(capsys: pytest.CaptureFixture[str], flags: tuple[str, ...]) -> None:
    """One file or two, and not both."""
    assert _run(*flags) == 2
    assert "expected one FILE, or both --request FILE and --answer FILE" in capsys.readouterr().err


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, with the name of the file."""
    assert _run(tmp_path / "none") == 2
    assert str(tmp_path / "none") in capsys.readouterr().err


def test_every_reason_is_explained() -> None:
    """Each reason that a decoder may give has a sentence of its own, and nothing else has one."""
    assert set(EXPLANATIONS) == KNOWN
    assert len(set(EXPLANATIONS.values())) == len(EXPLANATIONS)


def test_a_generation_is_told_without_its_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tokens, reasons and sizes of a stored stream; nothing that was said in it."""
    stored = VECTORS / "openai" / "stream_with_usage.request"
    assert _run("--request", stored, "--answer", stored.with_suffix(".response")) == 0
    told = capsys.readouterr().out
    lines = [line.split() for line in told.splitlines()]
    for line in (
        ["input_tokens", "9"],
        ["output_tokens", "2"],
        ["finish_reasons", "('stop',)"],
        ["chunks", "2"],
    ):
        assert line in lines
    assert "Hello" not in told and "there" not in told


def test_a_vector_has_a_width(capsys: pytest.CaptureFixture[str]) -> None:
    """Embeddings are as many rows as inputs, of so many numbers."""
    stored = VECTORS / "openai" / "embeddings.request"
    assert _run("--request", stored, "--answer", stored.with_suffix(".response"), "--values") == 0
    told = capsys.readouterr().out
    lines = [line.split() for line in told.splitlines()]
    assert ["embedding", "vector", "vector", "2", "0", "0", "-1", "0.458333", "2", "3", "wide"] in lines
    assert "[0.5, -1.0, 2.0]" in told


def test_the_owners_dialects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sidecar's file tells of custom dialects and of what a path carries; its problems are told as ever."""
    settings = tmp_path / "modeltap.yaml"
    settings.write_text("custom: {path: '/odd/{model_name}', class: a}\nprotocol: /predict=kserve_v1\n")
    answer = _sized(b"HTTP/1.1 200 OK\r\n", b'{"a":["x","y"],"predictions":[1,2]}')
    for path, told in ((b"/odd/mail", ["dialect", "custom"]), (b"/predict", ["dialect", "kserve_v1"])):
        request = REQUEST.replace(b"/v1/models/m:predict", path)
        file = _file(tmp_path, _sized(request, b'{"instances":[1,2]}') + answer)
        assert _run(file) == 1
        assert _run(file, "--config", settings) == 0
        assert told in [line.split() for line in capsys.readouterr().out.splitlines()]
    settings.write_text("custom: {path: odd}\n")
    assert _run(file, "--config", settings) == 2
    assert "custom: path: 'odd', expected a path" in capsys.readouterr().err


def test_settings_of_the_sidecar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What its file says of task and ids holds here too; a flag is stronger."""
    settings = tmp_path / "modeltap.yaml"
    settings.write_text("task: regression\nid_columns: city\njoin_keys: column\n")
    file = _file(tmp_path, _exchange(*TABLES))
    assert _run(file, "--config", settings) == 0
    told = capsys.readouterr().out
    assert "task        regression, as configured" in told
    assert "row 0: column Oslo #0\n" in told
    assert _run(file, "--config", settings, "--join-keys", "request_id") == 0
    assert "row 0: request_id r-1 #0\n" in capsys.readouterr().out
