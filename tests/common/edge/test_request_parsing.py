"""Bodies and parameters of a request: what is rejected, and how each error is named."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from support.gateway.errors import assert_error
from support.gateway.vase_service import VASE, VaseGateway, open_vase_gateway
from support.postgres.databases import Databases

JSON = {"Content-Type": "application/json"}


@pytest_asyncio.fixture(scope="module")
async def vase_gateway(databases: Databases) -> AsyncIterator[VaseGateway]:
    database = databases.create()
    async with open_vase_gateway(database, max_body_bytes=2000) as vase_gateway:
        yield vase_gateway
    databases.drop(database)


@pytest.mark.parametrize(
    "body",
    [b"{", b"", b"null,", b'{"name": NaN}', b'{"price": Infinity}', b'"\xff"', b'{"a": "\\ud800"}', b"[" * 1500],
)
async def test_a_body_that_is_not_json_is_a_bad_request(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/vases", content=body, headers=JSON)
    if body:
        assert_error(answer, 400, "BAD_REQUEST")
    else:
        assert assert_error(answer, 422, "VALIDATION_ERROR")["errors"] == [{"field": "body", "issue": "Field required"}]


@pytest.mark.parametrize("number", ["1e999999999999999999999", "1e-999999999999999999999"])
async def test_a_number_that_no_type_can_represent_fails_validation(client: httpx.AsyncClient, number: str) -> None:
    body = f'{{"name": "Vase bleu", "price": {number}}}'
    assert assert_error(await client.post("/vases", content=body, headers=JSON), 422, "VALIDATION_ERROR")["field"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "json"])
async def test_other_media_types_are_rejected(client: httpx.AsyncClient, content_type: str) -> None:
    answer = await client.post("/vases", content=json.dumps(VASE), headers={"Content-Type": content_type})
    assert_error(answer, 415, "BAD_REQUEST")


@pytest.mark.parametrize(
    "headers",
    [{}, JSON, {"Content-Type": "Application/JSON; charset=utf-8"}, {"Content-Type": "application/vnd.x+json"}],
)
async def test_json_is_accepted_with_any_of_its_media_types_and_without_one(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await client.post("/vases", content=json.dumps(VASE).encode(), headers=headers)
    assert answer.status_code == 201


async def test_a_body_that_is_too_large_is_rejected_with_or_without_a_content_length(client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 100

    assert_error(await client.post("/vases", content=b" " * 2001, headers=JSON), 413, "PAYLOAD_TOO_LARGE")
    details = assert_error(await client.post("/vases", content=chunks(), headers=JSON), 413, "PAYLOAD_TOO_LARGE")
    assert details == {"limit_bytes": 2000}


async def test_every_validation_error_of_a_request_is_listed(client: httpx.AsyncClient) -> None:
    vase = {"name": "", "glazes": [{"colour": "red"}, {"colour": "x" * 21}], "size": 3}
    details = assert_error(await client.post("/vases", json=vase), 422, "VALIDATION_ERROR")
    fields = {error["field"]: error["issue"] for error in details["errors"]}
    assert set(fields) == {"name", "price", "glazes.1.colour", "size"}
    assert details["field"] == details["errors"][0]["field"]
    assert details["issue"] == details["errors"][0]["issue"]


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("01920000-0000-7000-8000-000000000000/{}?coats=3", b'{"colour": "blue"}', JSON),
        ("01920000-0000-7000-8000-000000000000/{}", b'{"colour": "blue"}', {}),
        ("nonsense/{}?coats=many", b'{"color": 7}', JSON),
        ("nonsense/{}?coats=many", b"", {}),
        ("nonsense/{}", b"[1]", JSON),
        ("nonsense/{}", b"{", JSON),
        ("nonsense/{}", b"{}", {"Content-Type": "text/plain"}),
        ("nonsense/{}", b"{}", {**JSON, "X-API-Key": "wrong"}),
    ],
)
@pytest.mark.parametrize("action", ["paint", "paint-with-dependency"])
async def test_an_endpoint_called_directly_responds_like_one_that_fastapi_calls(
    client: httpx.AsyncClient, action: str, path: str, body: bytes, headers: dict[str, str]
) -> None:
    direct = await client.post(f"/vases/{path.format(action)}", content=body, headers=headers)
    through = await client.post(f"/vases/{path.format('paint-through-fastapi')}", content=body, headers=headers)
    assert direct.status_code == through.status_code
    assert direct.headers["content-type"] == through.headers["content-type"]
    if direct.status_code == 422:
        errors = [answer.json()["error"]["details"]["errors"] for answer in (direct, through)]
        assert {tuple(each.values()) for each in errors[0]} == {tuple(each.values()) for each in errors[1]}
    elif direct.is_error:
        assert direct.json()["error"] == through.json()["error"]
    else:
        assert direct.json() == through.json()


@pytest.mark.parametrize(
    ("path", "field"), [("/vases/17", "vase_id"), ("/vases?limit=0", "limit"), ("/vases?limit=many", "limit")]
)
async def test_a_malformed_parameter_is_named(client: httpx.AsyncClient, path: str, field: str) -> None:
    assert assert_error(await client.get(path), 422, "VALIDATION_ERROR")["field"] == field


async def test_nul_characters_are_rejected(vase_gateway: VaseGateway, client: httpx.AsyncClient) -> None:
    with_nul = await client.post("/vases", content=b'{"name": "a\\u0000b", "price": 1}', headers=JSON)
    assert_error(with_nul, 422, "VALIDATION_ERROR")
    backslash = await client.post("/vases", content=b'{"name": "a\\\\u0000b", "price": 1}', headers=JSON)
    assert backslash.json()["name"] == "a\\u0000b"
    assert_error(await client.get("/vases?name=a%00b"), 400, "BAD_REQUEST")
    async with vase_gateway.client("ops") as ops:
        assert_error(await ops.delete("/ops/api-keys/client_%00"), 400, "BAD_REQUEST")
