"""`If-Match` and `If-None-Match`: how they are read and compared, and routes that have no versions (RFC 9110, 13)."""

from typing import Any

import httpx
import pytest
from common.aggregates.precondition import UNCONDITIONAL, Precondition
from common.edge.requests.conditions import client_has, precondition_of
from common.errors import Code, Problem
from support.gateway.vase_service import VASE

LISTS_WITH_SEVEN = ['"7"', "*", " * ", '"6", "7"', '"6","x" ,\t"7",', ',, "7"', '"a,b", "7"', '"7", W/"7"']
LISTS_WITHOUT_SEVEN = ['"6"', '"77"', '"6", "8"', '"7,8"', '""', '"\x80"']
MALFORMED = ["7", "", ",", '"7', 'w/"7"', '"6" "7"', '"7", *', "*, *", '"a b"', '"7"x', "W/7", '"7";q=1']


def scope(header: bytes, *values: str) -> dict[str, Any]:
    return {"type": "http", "headers": [(header, each.encode("latin-1")) for each in values]}


def fails(precondition: Precondition) -> bool:
    """Whether a change of version 7 is refused."""
    try:
        precondition.check(7)
    except Problem as problem:
        return problem.code is Code.PRECONDITION_FAILED and problem.details == {"current_version": 7}
    return False


@pytest.mark.parametrize("value", LISTS_WITH_SEVEN)
def test_a_list_with_the_current_tag_matches(value: str) -> None:
    assert not fails(precondition_of(scope(b"if-match", value)))
    assert fails(precondition_of(scope(b"if-none-match", value)))
    assert client_has(scope(b"if-none-match", value), '"7"')


@pytest.mark.parametrize("value", LISTS_WITHOUT_SEVEN)
def test_a_list_without_the_current_tag_does_not_match(value: str) -> None:
    assert fails(precondition_of(scope(b"if-match", value)))
    assert not fails(precondition_of(scope(b"if-none-match", value)))
    assert not client_has(scope(b"if-none-match", value), '"7"')


def test_a_weak_tag_matches_only_where_tags_are_compared_weakly() -> None:
    assert fails(precondition_of(scope(b"if-match", 'W/"7"')))
    assert fails(precondition_of(scope(b"if-none-match", 'W/"7"')))
    assert client_has(scope(b"if-none-match", 'W/"7"'), '"7"')


def test_several_lines_of_a_header_are_one_list() -> None:
    assert not fails(precondition_of(scope(b"if-match", '"6"', '"7"')))
    assert client_has(scope(b"if-none-match", 'W/"6"', '"7"'), '"7"')


def test_both_headers_must_hold() -> None:
    headers = [(b"if-match", b'"7"'), (b"if-none-match", b'"7"')]
    assert fails(precondition_of({"type": "http", "headers": headers}))
    headers = [(b"if-match", b'"7"'), (b"if-none-match", b'"6"')]
    assert not fails(precondition_of({"type": "http", "headers": headers}))


@pytest.mark.parametrize("header", [b"if-match", b"if-none-match"])
@pytest.mark.parametrize("value", MALFORMED)
def test_a_malformed_condition_is_a_bad_request(header: bytes, value: str) -> None:
    with pytest.raises(Problem) as raised:
        precondition_of(scope(header, value))
    assert raised.value.code is Code.BAD_REQUEST
    assert raised.value.details == {"header": header.decode()}


def test_dates_are_no_condition_because_no_resource_has_one() -> None:
    """RFC 9110, 13.1.3 and 13.1.4: ignored without a modification date."""
    headers = [(b"if-unmodified-since", b"Sat, 29 Oct 1994 19:43:31 GMT"), (b"if-modified-since", b"yesterday")]
    assert precondition_of({"type": "http", "headers": headers}) is UNCONDITIONAL


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
async def test_a_change_of_something_without_versions_refuses_conditions(
    client: httpx.AsyncClient, header: str
) -> None:
    answer = await client.post("/vases", json=VASE, headers={header: '"7"'})
    assert (answer.status_code, answer.json()["error"]["code"]) == (412, "PRECONDITION_FAILED")
    assert answer.json()["error"]["details"] == {"current_version": None}
    assert "ETag" not in answer.headers
    assert (await client.post("/vases", json=VASE, headers={header: "7"})).status_code == 400
    invalid = {**VASE, "price": -1}
    assert (await client.post("/vases", json=invalid, headers={header: "*"})).status_code == 422


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
async def test_reading_something_without_versions_ignores_conditions(client: httpx.AsyncClient, header: str) -> None:
    answer = await client.get("/vases", headers={header: "*"})
    assert answer.status_code == 200
    assert "ETag" not in answer.headers
