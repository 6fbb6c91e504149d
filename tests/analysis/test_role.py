"""role.py: whose answers an exchange's are, and what is left out."""

import pytest

from exporter.analysis.known import Known
from exporter.analysis.role import EXCLUSIONS, ROLES, Sorter
from tests.decode.exchanges import exchange


def head(*fields: str) -> bytes:
    return "\r\n".join(["POST /v1/models/m:predict HTTP/1.1", *fields, "", ""]).encode()


def sorted_role(known: Known, *fields: str) -> str:
    return Sorter(known).role(exchange("/v1/models/m:predict", b"", b"", request_head=head(*fields)))


@pytest.mark.parametrize(
    ("fields", "role"),
    [
        ([], "live"),
        (["Host: model.ns.svc"], "live"),
        (["Host: model-shadow"], "shadow"),
        (["host:MODEL-SHADOW:8080"], "shadow"),
        (["Host: model:8080-shadow"], "shadow"),
        (["Host: model-shadow.ns.svc"], "live"),
        (["Host: m", "X-Other: a-shadow"], "live"),
        (["Host: m", "X-Role: shadow"], "live"),
    ],
)
def test_role_by_host(fields: list[str], role: str) -> None:
    """The suffix of the host, before or behind the port, and nothing else."""
    assert sorted_role(Known(), *fields) == role


@pytest.mark.parametrize(
    ("fields", "role"),
    [
        (["X-Role: canary"], "canary"),
        (["x-role: Synthetic"], "synthetic"),
        (["X-Role: live", "Host: m-shadow"], "live"),
        (["X-Role: anything", "Host: m-shadow"], "shadow"),
        (["X-Role: <script>"], "live"),
        (["X-Role:"], "live"),
    ],
)
def test_role_by_header(fields: list[str], role: str) -> None:
    """A known word wins over the host; any other is no role."""
    assert sorted_role(Known(role_header="x-role"), *fields) == role
    assert role in ROLES


@pytest.mark.parametrize(
    ("operation", "fields", "reason"),
    [
        ("predict", [], ""),
        ("health", [], "probe"),
        ("metadata", [], "probe"),
        ("predict", ["X-Skip: 1"], "ignored"),
        ("predict", ["x-skip:"], "ignored"),
        ("predict", ["X-Warm: 1"], "warm_up"),
        ("predict", ["X-Skip-Not: 1"], ""),
    ],
)
def test_what_is_left_out(operation: str, fields: list[str], reason: str) -> None:
    """Probes by their path, others by a field, whatever it says."""
    sorter = Sorter(Known(ignore_header="x-skip", warm_up_header="X-Warm"))
    one = exchange(
        "/v1/models/m:predict", b"", b"", operation=operation, request_head=head("host: a", *fields)
    )
    assert sorter.exclusion(one) == reason
    assert reason in ("", *EXCLUSIONS)


def test_no_field_is_configured() -> None:
    """Then none leaves anything out."""
    one = exchange("/v1/models/m:predict", b"", b"", request_head=head(": x", "x-skip: 1"))
    assert Sorter(Known()).exclusion(one) == ""
