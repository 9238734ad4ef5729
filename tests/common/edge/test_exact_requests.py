"""Ambiguous requests are rejected: repeated members and headers, unknown parameters, invisible characters."""

import json
from typing import Any

import httpx
import pytest
from common.edge.pages.health_pages import HealthPages
from common.edge.problems.problem_details import instance_of
from common.edge.requests.body import find_duplicate, parse_json
from common.errors import Problem
from common.health import Health
from common.settings import ServiceSettings
from support.gateway.vase_service import VASE, VaseGateway
from support.postgres.databases import Database

JSON = {"Content-Type": "application/json"}
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def error_details(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    details: dict[str, Any] = answer.json()["error"]["details"]
    return details


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ('{"name": "a", "price": 1, "name": "b"}', "name"),
        ('{"name": "a", "price": 1, "price": 1}', "price"),
        ('{"name": "a", "price": 1, "n\\u0061me": "a"}', "name"),
        ('{"name": "a\\"\\\\", "price": 1, "name": "\\\\\\""}', "name"),
        ('{"name": "a", "price": 1, "glazes": [{"colour": "red"}, {"colour": "x", "colour": "y"}]}', "glazes.1.colour"),
        ('{"name": "a", "price": 1, "": 1, "": 2}', ""),
        ('{"unknown": {"deep": [[{"a": {}, "a": {}}]]}}', "unknown.deep.0.0.a"),
        ('[{"a": 1, "a": 1}]', "0.a"),
    ],
)
async def test_a_repeated_json_member_is_rejected_by_name(client: httpx.AsyncClient, body: str, member: str) -> None:
    answer = await client.post("/vases", content=body, headers=JSON)
    assert error_details(answer, 400) == {"member": member}
    assert answer.json()["error"]["code"] == "BAD_REQUEST"


@pytest.mark.parametrize(
    "text",
    [
        '{"a": {"a": 1}, "b": [{"a": 1}, {"a": 1}]}',
        '{"a": "\\"a\\": 1, \\"a\\": 2"}',
        '{"a": "\\u0022", "b": "\\\\", "c\\"": "\\\\\\""}',
        '{"a\\u0022": "\\u005c\\u0022", "\\\\": 1e400, "é": "\\u00e9\\ud83d\\ude00"}',
        '["a", "a"]',
        "{}",
        "1.50",
    ],
)
def test_different_json_members_are_not_confused(text: str) -> None:
    value = parse_json(text.encode())
    assert find_duplicate(text.encode(), value) is None


async def test_the_members_of_a_large_body_are_compared_in_bounded_time(client: httpx.AsyncClient) -> None:
    body = '{"glazes": [' + ",".join(['{"colour": "x"}'] * 50) + ',{"colour": "x", "colour": "x"}]}'
    assert error_details(await client.post("/vases", content=body, headers=JSON), 400) == {"member": "glazes.50.colour"}


@pytest.mark.parametrize(
    "large",
    ['{"x": [' + '{"a":0},' * 130_000 + '{"a":0,"a":1}]}', '{"x": [' + "{}," * 340_000 + '{}], "x": 0}'],
    ids=["at the end", "around all"],
)
def test_the_member_of_a_very_large_body_is_not_named(large: str) -> None:
    with pytest.raises(Problem) as refusal:
        parse_json(large.encode())
    assert refusal.value.details == {"member": "(unnamed)"}


async def test_one_byte_order_mark_is_ignored(client: httpx.AsyncClient) -> None:
    body = json.dumps(VASE).encode()
    assert (await client.post("/vases", content=BYTE_ORDER_MARK + body, headers=JSON)).status_code == 201
    for wrong_body in (
        BYTE_ORDER_MARK * 2 + body,
        b" " + BYTE_ORDER_MARK + body,
        body + BYTE_ORDER_MARK,
        BYTE_ORDER_MARK,
    ):
        error_details(await client.post("/vases", content=wrong_body, headers=JSON), 400)


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "GZIP", "x", "deflate "])
async def test_a_body_with_a_content_coding_is_rejected(client: httpx.AsyncClient, coding: str) -> None:
    answer = await client.post("/vases", json=VASE, headers={"Content-Encoding": coding})
    error_details(answer, 415)
    assert answer.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("coding", ["identity", " Identity ", "", "identity, identity"])
async def test_the_content_coding_identity_is_accepted(client: httpx.AsyncClient, coding: str) -> None:
    assert (await client.post("/vases", json=VASE, headers={"Content-Encoding": coding})).status_code == 201


@pytest.mark.parametrize("path", ["/vases", "/vases/01920000-0000-7000-8000-000000000000", "/health", "/metrics"])
async def test_unknown_query_parameters_are_rejected(client: httpx.AsyncClient, path: str) -> None:
    details = error_details(await client.get(f"{path}?custmer_id=7&%20name&limt"), 422)
    assert [each["field"] for each in details["errors"]] == ["custmer_id", " name", "limt"]
    assert (await client.head(f"{path}?limt=7")).status_code == 422


@pytest.mark.parametrize("page", ["livez", "readyz", "metrics", "docs", "openapi.json"])
async def test_health_and_document_pages_reject_query_parameters(vase_gateway: VaseGateway, page: str) -> None:
    async with vase_gateway.client(None) as anonymous:
        assert error_details(await anonymous.get(f"http://workshop/{page}?verbose=1"), 422)["field"] == "verbose"
        assert (await anonymous.get(f"http://workshop/{page}?")).status_code == 200


@pytest.mark.parametrize("page", ["livez", "readyz", "metrics"])
async def test_health_pages_of_roles_without_a_gateway_reject_query_parameters(database: Database, page: str) -> None:
    settings = ServiceSettings(database_url=database.dsn, kafka_bootstrap="127.0.0.1:9")
    transport = httpx.ASGITransport(HealthPages(Health(None, settings)))
    async with httpx.AsyncClient(transport=transport, base_url="http://relay") as anonymous:
        assert error_details(await anonymous.get(f"/{page}?verbose=1"), 422)["field"] == "verbose"
        answer = await anonymous.get(f"/{page}?")
        assert answer.status_code in (200, 503)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("action", ["paint", "paint-with-dependency", "paint-through-fastapi"])
async def test_parameters_of_dependencies_are_accepted_once(client: httpx.AsyncClient, action: str) -> None:
    path, glaze = f"/vases/01920000-0000-7000-8000-000000000000/{action}", {"colour": "blue"}
    assert (await client.post(f"{path}?coats=3", json=glaze)).json()["coats"] == 3
    assert error_details(await client.post(f"{path}?coats=3&coats=3", json=glaze), 422)["field"] == "coats"
    assert error_details(await client.post(f"{path}?coat=3", json=glaze), 422)["field"] == "coat"


async def test_unknown_parameters_are_listed_with_all_other_errors(client: httpx.AsyncClient) -> None:
    details = error_details(await client.get("/vases?limit=0&limt=1"), 422)
    assert {each["field"] for each in details["errors"]} == {"limit", "limt"}


@pytest.mark.parametrize("name", ["X-API-Key", "Idempotency-Key", "Content-Type"])
async def test_a_repeated_header_of_one_value_is_rejected(vase_gateway: VaseGateway, name: str) -> None:
    value = {"X-API-Key": vase_gateway.keys["client"], "Idempotency-Key": "k", "Content-Type": "application/json"}
    headers = [*value.items(), (name, value[name])]
    async with vase_gateway.client(None) as client:
        answer = await client.post("/vases", content=json.dumps(VASE), headers=headers)
    assert error_details(answer, 400) == {"header": name.lower()}


async def test_blanks_around_a_header_value_are_ignored(vase_gateway: VaseGateway) -> None:
    body = json.dumps({**VASE, "name": "blanks"}).encode()
    async with vase_gateway.client(None) as client:
        answers = [
            await client.post(
                "/vases",
                content=body,
                headers={
                    "X-API-Key": f"{blank}{vase_gateway.keys['client']}{blank}",
                    "Idempotency-Key": f"{blank}twelve vases{blank}",
                    "Content-Type": f"{blank}application/json{blank}; charset=utf-8{blank}",
                },
            )
            for blank in ("", " ", "\t ")
        ]
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert len({answer.json()["id"] for answer in answers}) == 1


@pytest.mark.parametrize(
    ("path", "instance"),
    [
        ("/api/v1/vases/Vase bleu", "/api/v1/vases/Vase%20bleu"),
        ("/api/v1/vases/Małgorzata", "/api/v1/vases/Ma%C5%82gorzata"),
        ("/api/v1/vases/a%2Fb", "/api/v1/vases/a%2Fb"),
        ('/api/v1/vases/{id}<>"|^`\\', "/api/v1/vases/%7Bid%7D%3C%3E%22%7C%5E%60%5C"),
        ("/100%", "/100%25"),
        ("//evil.example/x", "/.//evil.example/x"),
        ("/a:b@c;d=e,f!$&'()*+~", "/a:b@c;d=e,f!$&'()*+~"),
        ("/\x1b[2J", "/%1B%5B2J"),
    ],
)
def test_the_instance_of_a_problem_is_a_uri_reference(path: str, instance: str) -> None:
    assert instance_of({"path": "/decoded", "raw_path": path.encode()}) == instance
    assert instance_of({"path": path}) == instance


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/vases"), ("POST", "/vases"), ("GET", "/vases/17"), ("POST", "/vases/faulty"), ("GET", "/nothing"),
     ("DELETE", "/vases"), ("GET", "/health"), ("GET", "/metrics"), ("GET", "/ops/api-keys"),
     ("GET", "http://workshop/livez")],
)  # fmt: skip
@pytest.mark.parametrize("role", ["client", None])
async def test_responses_forbid_caching_and_content_sniffing(
    vase_gateway: VaseGateway, role: str | None, method: str, path: str
) -> None:
    async with vase_gateway.client(role) as client:
        headers = (await client.request(method, path, json=VASE)).headers
    assert headers.get_list("Cache-Control") == ["no-store"]
    assert headers.get_list("X-Content-Type-Options") == ["nosniff"]


def test_numbers_keep_every_digit_and_the_whole_body_is_one_text() -> None:
    assert str(parse_json(b"1.1234567890123456789012345678901")) == "1.1234567890123456789012345678901"
    for text in (b"{} {}", b"[1]]", b"\xff\xfe[\x00]\x00", b"[\x00]", b"{'a': 1}", b"[1,]", b"[01]", b"[.5]", b"[+1]"):
        with pytest.raises(Problem):
            parse_json(text)
