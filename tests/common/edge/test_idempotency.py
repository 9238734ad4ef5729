"""`Idempotency-Key`: one effect and one response, however often and concurrently a request is sent."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio
from common.database.statements import Connection
from common.database.transactions import Pool, reading, transaction
from common.edge.commands.idempotency import (
    COMPRESSED_ABOVE_BYTES,
    Answer,
    KeyedRequest,
    StoredAnswer,
    keyed_transaction,
    require_unanswered,
    store_answer,
)
from common.errors import Code, Problem
from common.running.purge import standard_rules
from support.gateway.vase_service import VASE, VaseGateway, open_vase_gateway
from support.postgres.databases import Database
from support.waiting import eventually

A_DAY = timedelta(days=1)


@pytest_asyncio.fixture
async def client(vase_gateway: VaseGateway) -> AsyncIterator[httpx.AsyncClient]:
    async with vase_gateway.client(**{"Idempotency-Key": str(uuid4())}) as client:
        yield client


async def count(vase_gateway: VaseGateway, name: str) -> int:
    async with reading(vase_gateway.pool) as connection:
        number: int = await connection.fetchval("SELECT count(*) FROM vases WHERE name = $1", name)
        return number


async def test_a_repeated_request_gets_the_same_response_and_has_one_effect(
    vase_gateway: VaseGateway, client: httpx.AsyncClient
) -> None:
    first = await client.post("/vases", json={**VASE, "name": "once"})
    again = await client.post("/vases", json={**VASE, "name": "once"})
    assert first.status_code == again.status_code == 201
    assert again.content == first.content
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert await count(vase_gateway, "once") == 1


async def test_a_quoted_key_is_the_same_key(client: httpx.AsyncClient) -> None:
    first = await client.post("/vases", json=VASE)
    quoted = {"Idempotency-Key": f'"{client.headers["Idempotency-Key"]}"'}
    assert (await client.post("/vases", json=VASE, headers=quoted)).content == first.content


@pytest.mark.parametrize("length", [10, COMPRESSED_ABOVE_BYTES, COMPRESSED_ABOVE_BYTES + 1, 300_000])
async def test_a_response_of_any_length_is_replayed_byte_for_byte(pool: Pool, length: int) -> None:
    answer = Answer(201, {"Location": "/vases/1"}, b"x" * length)
    async with keyed_transaction(pool, keyed_request()) as connection:
        await store_answer(connection, keyed_request(), answer, A_DAY)
    with pytest.raises(StoredAnswer) as raised:
        async with keyed_transaction(pool, keyed_request()):
            raise AssertionError("the command must not run again")
    assert raised.value.answer == Answer(201, {"Location": "/vases/1", "Idempotency-Replayed": "true"}, answer.body)


async def test_another_body_with_the_same_key_is_rejected(client: httpx.AsyncClient) -> None:
    await client.post("/vases", json=VASE)
    answer = await client.post("/vases", json={**VASE, "price": 13})
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "IDEMPOTENCY_KEY_REUSED"


async def test_the_same_key_of_another_caller_or_path_is_a_different_request(
    vase_gateway: VaseGateway, client: httpx.AsyncClient
) -> None:
    vase = (await client.post("/vases", json=VASE)).json()["id"]
    key = {"Idempotency-Key": client.headers["Idempotency-Key"]}
    async with vase_gateway.client("ops", **key) as ops:
        assert (await ops.post("/vases", json=VASE)).json()["id"] != vase
        assert (await ops.post(f"/vases/{vase}/break")).json() == "broken"
        assert (await ops.post(f"/vases/{vase}/break")).json() == "broken"


@pytest.mark.parametrize("key", ["", '""', "x" * 256, "tab\there"])
async def test_an_invalid_idempotency_key_is_rejected(client: httpx.AsyncClient, key: str) -> None:
    answer = await client.post("/vases", json=VASE, headers={"Idempotency-Key": key})
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["field"] == "Idempotency-Key"


@pytest.mark.parametrize("name", ["refused", "refused and rolled back", ""])
async def test_a_rejection_is_not_stored_so_that_the_request_can_be_corrected(
    client: httpx.AsyncClient, name: str
) -> None:
    assert (await client.post("/vases", json={**VASE, "name": name})).status_code in (409, 422)
    assert (await client.post("/vases", json=VASE)).status_code == 201


async def test_while_the_first_request_runs_repeats_get_409_with_retry_after(
    vase_gateway: VaseGateway, client: httpx.AsyncClient
) -> None:
    slow = {**VASE, "name": "slow"}
    async with reading(vase_gateway.pool) as connection:
        await connection.execute("SELECT pg_advisory_lock(1)")
        first = asyncio.create_task(client.post("/vases", json=slow))
        await eventually(lambda: connection.fetchval("SELECT 1 FROM pg_locks WHERE objid = 1 AND NOT granted"))
        repeat = await client.post("/vases", json=slow)
        await connection.execute("SELECT pg_advisory_unlock(1)")
    assert repeat.status_code == 409
    assert repeat.json()["error"]["code"] == "CONFLICT"
    assert int(repeat.headers["Retry-After"]) >= 1
    assert (await first).status_code == 201
    assert (await client.post("/vases", json=slow)).content == (await first).content


async def test_many_concurrent_requests_have_one_effect_and_one_successful_response(
    vase_gateway: VaseGateway, client: httpx.AsyncClient
) -> None:
    many = [client.post("/vases", json={**VASE, "name": "raced"}) for _ in range(20)]
    answers = [*await asyncio.gather(*many), await client.post("/vases", json={**VASE, "name": "raced"})]
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert await count(vase_gateway, "raced") == 1


async def test_an_expired_response_counts_as_absent(database: Database, client: httpx.AsyncClient) -> None:
    async with (
        open_vase_gateway(database, idempotency_retention_hours=1e-6) as vase_gateway,
        vase_gateway.client() as short,
    ):
        headers = {"Idempotency-Key": "short"}
        first = await short.post("/vases", json=VASE, headers=headers)

        async def has_expired() -> bool:
            query = "SELECT expires_at < clock_timestamp() FROM idempotency_keys"
            return bool(await vase_gateway.pool.fetchval(query))

        await eventually(has_expired)
        assert (await short.post("/vases", json={**VASE, "price": 1}, headers=headers)).status_code == 201
        assert first.status_code == 201


async def test_keys_that_expire_while_they_are_purged_and_used_again_lose_nothing(database: Database) -> None:
    async with (
        open_vase_gateway(database, idempotency_retention_hours=1e-6) as vase_gateway,
        vase_gateway.client() as short,
    ):
        [rule] = [each for each in standard_rules(vase_gateway.runtime.settings) if each.table.name.startswith("idem")]

        async def purge() -> int:
            async with transaction(vase_gateway.pool) as connection:
                return (await rule.purge(connection))[1]

        headers = {"Idempotency-Key": "short"}
        statuses, purged = [], 0
        for _ in range(30):
            *answers, deleted = await asyncio.gather(
                *(short.post("/vases", json={**VASE, "name": "purged"}, headers=headers) for _ in range(4)), purge()
            )
            assert isinstance(deleted, int)
            purged += deleted
            statuses += [answer.status_code for answer in answers if isinstance(answer, httpx.Response)]
            first = [each for each in answers if isinstance(each, httpx.Response) and each.status_code == 201]
            fresh = [each for each in first if "Idempotency-Replayed" not in each.headers]
            assert {each.content for each in first} == {each.content for each in fresh}
        assert set(statuses) <= {201, 409}
        assert statuses.count(201) >= 30
        assert purged >= 1


def keyed_request(key: str = "k") -> KeyedRequest:
    return KeyedRequest.of(key, caller="client_1", method="POST", path="/vases", body=b"{}")


@pytest.mark.parametrize("outcome", ["answer", "returned problem", "raised problem"])
async def test_a_response_committed_after_our_look_up_is_returned_and_our_effect_is_rolled_back(
    pool: Pool, database: Database, outcome: str
) -> None:
    """The look-up and the lock are one statement, and its snapshot may be older than the lock."""
    first_answer = Answer(201, {"Location": "/vases/1"}, b'"first"')

    async def run_command(connection: Connection) -> None:
        await connection.execute("INSERT INTO event_streams (topic, key, sequence) VALUES ('t', 'ours', 1)")
        elsewhere = await asyncpg.connect(database.dsn)
        await elsewhere.execute(
            "INSERT INTO idempotency_keys (scope, key, request_hash, status, headers, body, expires_at) "
            "VALUES ($1, $2, $3, 201, '{\"Location\": \"/vases/1\"}', $4, now() + interval '1 day')",
            *(keyed_request().scope, keyed_request().key, keyed_request().body_hash, first_answer.body),
        )
        await elsewhere.close()
        if outcome == "raised problem":
            raise Problem(Code.CONFLICT, "too late")
        if outcome == "returned problem":
            await require_unanswered(connection, keyed_request())
        else:
            await store_answer(connection, keyed_request(), Answer(201, {}, b'"second"'), A_DAY)

    with pytest.raises(StoredAnswer) as raised:
        async with keyed_transaction(pool, keyed_request()) as connection:
            await run_command(connection)
    assert raised.value.answer.body == first_answer.body
    assert raised.value.answer.headers == {"Location": "/vases/1", "Idempotency-Replayed": "true"}
    async with reading(pool) as connection:
        assert await connection.fetchval("SELECT count(*) FROM event_streams") == 0
