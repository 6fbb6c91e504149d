"""The clients' counts against a scrape: what differs is told, what nobody can know is not."""

import pytest

from tests.e2e.exposition import samples
from tests.soak.ledger import CLEAN, FAULTY, NO_CODE, Ledger, books

SCRAPE = f"""\
# TYPE model_request_duration_seconds histogram
model_request_duration_seconds_count{{model_name="a",operation="predict",protocol="{CLEAN}",code="200"}} 5
model_request_duration_seconds_count{{model_name="b",operation="predict",protocol="{CLEAN}",code="200"}} 2
model_request_duration_seconds_count{{model_name="b",operation="predict",protocol="{CLEAN}",code="500"}} 1
model_request_duration_seconds_count{{model_name="a",operation="predict",protocol="{FAULTY}",code="200"}} 3
model_request_duration_seconds_count{{model_name="a",operation="predict",protocol="{FAULTY}",code="none"}} 2
model_request_errors_total{{model_name="b",protocol="{CLEAN}",error_type="5xx"}} 1
model_request_errors_total{{model_name="b",protocol="{CLEAN}",error_type="4xx"}} 0
model_request_errors_total{{model_name="a",protocol="{FAULTY}",error_type="reset"}} 2
model_request_size_bytes_sum{{model_name="a",protocol="{CLEAN}"}} 900
model_response_size_bytes_sum{{model_name="a",protocol="{CLEAN}"}} 400
"""
BOOKS = """\
modeltap_records_offered_total 10
modeltap_records_acknowledged_total 7
modeltap_records_dropped_total{reason="sampled"} 2
modeltap_records_dropped_total{reason="analysis_lost"} 1
modeltap_records_unacknowledged 0
model_requests_in_flight{model_name="a"} 0
model_connections_open 0
"""


def ledger(clean: int = 7, failed: int = 1, unknown: int = 2) -> Ledger:
    """What fits SCRAPE, unless told otherwise."""
    made = Ledger()
    for _ in range(clean):
        made.done(CLEAN, 200)
    for _ in range(failed):
        made.done(CLEAN, 500)
    for _ in range(3):
        made.done(FAULTY, 200)
    made.unknown[FAULTY] = unknown
    made.moved(CLEAN, 900, 400)
    return made


def test_equal_counts_are_no_problem() -> None:
    """By code, by error, by bytes; names are added up."""
    assert ledger().compare(samples(SCRAPE), seen=3) == []


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (ledger(clean=6), "code 200: 7 counted, the clients have 6"),
        (ledger(clean=8), "code 200: 7 counted, the clients have 8"),
        (ledger(failed=2), "error 5xx: 1 counted, the clients have 2"),
        (ledger(unknown=1), "code none: 2 counted, the clients have 0 and 1 unknown"),
    ],
)
def test_a_difference_is_told(made: Ledger, problem: str) -> None:
    """One exchange more or less in either book."""
    assert any(problem in told for told in made.compare(samples(SCRAPE), seen=3))


def test_what_nobody_can_know_may_be_counted_or_not() -> None:
    """Up to as many as ended without a byte of an answer, and only without a code."""
    assert ledger(unknown=5).compare(samples(SCRAPE), seen=3) == []
    more = ledger(unknown=5)
    more.done(FAULTY, 200)
    assert any("code 200" in told for told in more.compare(samples(SCRAPE), seen=3))


def test_what_the_model_read_was_counted() -> None:
    """A request that reached the model is known to someone, whatever became of it."""
    assert ledger().compare(samples(SCRAPE), seen=5) == []
    assert any("the model read 6" in told for told in ledger().compare(samples(SCRAPE), seen=6))


def test_bytes_are_exact() -> None:
    """Of whole exchanges every byte is counted; where one is unknown they cannot be compared."""
    made = ledger()
    made.moved(CLEAN, 1, 0)
    assert any("model_request_size_bytes_sum is 900" in told for told in made.compare(samples(SCRAPE), 3))
    made.unknown[CLEAN] = 1
    assert made.compare(samples(SCRAPE), seen=3) == []


def test_an_error_without_a_code_is_known_when_the_client_left() -> None:
    """What the client itself ended has its error type and no code."""
    made = Ledger()
    made.done(CLEAN, NO_CODE, "abort")
    assert made.finished[CLEAN, NO_CODE] == made.errors[CLEAN, "abort"] == made.exchanges == 1


def test_books_add_up() -> None:
    """Offered is acknowledged, dropped and on the way, and at rest nothing is under way."""
    assert books(samples(BOOKS)) == []
    assert any("11 offered" in told for told in books(samples(BOOKS.replace("total 10", "total 11"))))
    assert any("in_flight is 1" in told for told in books(samples(BOOKS.replace('"a"} 0', '"a"} 1'))))
    assert any("connections_open is 2" in told for told in books(samples(BOOKS.replace("open 0", "open 2"))))
