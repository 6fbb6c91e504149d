"""MLflow's scoring server, and what it leaves to SageMaker on the same path."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.decode import mlflow, observe, sagemaker
from tests.decode.cases import CSV, HOSTILE, JSON, ROWS, cases, expected, outcome, total
from tests.decode.exchanges import exchange

PATH = "/invocations"
BOTH = (mlflow, sagemaker)
AS_CSV = b"POST /invocations HTTP/1.1\r\ncontent-type: text/csv\r\n\r\n"
SPLIT = st.fixed_dictionaries(
    {}, optional={"columns": st.lists(st.text("ab", max_size=3)) | JSON, "data": ROWS}
)
REQUEST = st.fixed_dictionaries(
    {},
    optional={
        "dataframe_split": SPLIT | JSON,
        "dataframe_records": ROWS,
        "instances": ROWS,
        "inputs": ROWS,
        "features": ROWS,
    },
)
ANSWER = st.fixed_dictionaries({}, optional={"predictions": ROWS}) | ROWS


@pytest.mark.parametrize("case", cases("mlflow"))
def test_vector(case: Path) -> None:
    """A stored exchange is MLflow's, with SageMaker beside it, and gives the stored outcome."""
    np.testing.assert_equal(outcome(case, *BOTH), expected(case))


@pytest.mark.parametrize("case", cases("mlflow"))
def test_alone(case: Path) -> None:
    """The dialect needs no other one in the tuple."""
    np.testing.assert_equal(outcome(case, mlflow), expected(case))


@given(request=st.binary(max_size=80) | CSV.map(str.encode), response=ANSWER.map(json.dumps).map(str.encode))
@settings(max_examples=50)
def test_any_csv(request: bytes, response: bytes) -> None:
    """Any bytes as CSV give an Observation that keeps its contract, or a known reason."""
    total(exchange(PATH, request, response, request_head=AS_CSV), *BOTH)


@given(request=REQUEST | SPLIT | ROWS, response=ANSWER)
@settings(max_examples=50)
def test_any_json(request: Any, response: Any) -> None:
    """Any JSON near the dialect's messages gives an Observation that keeps its contract, or a known reason."""
    total(exchange(PATH, json.dumps(request).encode(), json.dumps(response).encode()), *BOTH)


@given(request=st.binary(max_size=40), response=st.binary(max_size=40))
@settings(max_examples=50)
def test_any_bytes(request: bytes, response: bytes) -> None:
    """Any bytes give an Observation that keeps its contract, or a known reason."""
    total(exchange(PATH, request, response), *BOTH)


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: f"{value[:8]!r}")
def test_hostile_values(value: bytes) -> None:
    """Deep, sparse and wide values end in bounded work."""
    for form in (b'{"instances":', b'{"dataframe_records":', b'{"inputs":', b'{"dataframe_split":{"data":'):
        total(
            exchange(PATH, form + value + b"}" * form.count(b"{"), b'{"predictions":' + value + b"}"), *BOTH
        )


@pytest.mark.parametrize(
    ("request_body", "response_body", "protocol"),
    [
        (b"a,b\n1,2\n", b'{"predictions":[1]}', "mlflow"),
        (b"1,2\n3,4\n", b'{"predictions":[1,1]}', "sagemaker"),
        (b"1,2\n3,4\n", b'{"predictions":[1]}', "mlflow"),
        (b"1,2\n3,4\n", b"[1,1]", "sagemaker"),
        (b"1,2\n", b'{"score":1.5}', "sagemaker"),
    ],
)
def test_the_answers_rows_tell_whether_csv_has_a_header(
    request_body: bytes, response_body: bytes, protocol: str
) -> None:
    """As many rows as records: no header, so it is not MLflow's; one row less: there is one."""
    one = exchange(PATH, request_body, response_body, request_head=AS_CSV)
    assert observe(one, BOTH).protocol == protocol
