"""API keys: what is stored, how soon a revoked key is rejected, and how rarely the database is queried."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from common.access import api_keys
from common.access.actors import subject_id
from common.access.api_keys import KeyOptions
from common.access.auth import Caller, Identity, Role
from common.access.authenticator import Authenticator
from common.database.transactions import Pool, reading
from common.errors import Code, Problem
from common.telemetry.trace_context import new_traceparent
from support.postgres.databases import Database


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def make_key(pool: Pool, role: Role = Role.CLIENT) -> str:
    async with reading(pool) as connection:
        return await api_keys.create(connection, name="Anna's shop", role=role)


async def assert_rejected(authenticator: Authenticator, key: str) -> None:
    with pytest.raises(Problem) as raised:
        await authenticator.look_up(key.encode("latin-1"))
    assert raised.value.code is Code.UNAUTHENTICATED


async def test_a_key_identifies_its_caller(pool: Pool) -> None:
    customer = uuid4()
    async with reading(pool) as connection:
        key = await api_keys.create(connection, name="Anna", role="client", options=KeyOptions(customer, rate_limit=7))
    holder = await Authenticator(pool, 5).look_up(key.encode())
    prefix = key.partition(".")[0]
    assert holder == Identity(api_keys.entity_id(prefix), prefix, Role.CLIENT, customer, prefix, rate_limit=7)


async def test_keys_of_one_person_are_one_actor_with_the_limits_of_each_key(pool: Pool) -> None:
    async with reading(pool) as connection:
        keys = [
            await api_keys.create(connection, name="Anna", role="manager", options=KeyOptions(subject="anna"))
            for _ in range(2)
        ]
    authenticator = Authenticator(pool, 5, issuer="https://login.example/")
    holders = [await authenticator.look_up(key.encode()) for key in keys]
    assert {holder.id for holder in holders} == {subject_id("https://login.example/", "anna")}
    assert [holder.scope for holder in holders] == [key.partition(".")[0] for key in keys]


async def test_only_the_hash_of_a_secret_is_stored(pool: Pool) -> None:
    key = await make_key(pool)
    async with reading(pool) as connection:
        row = await connection.fetchrow("SELECT * FROM api_keys")
    assert row is not None
    assert key.partition(".")[2] not in str(dict(row))
    assert len(row["secret_hash"]) == 32


async def test_a_wrong_or_malformed_key_is_rejected(pool: Pool) -> None:
    authenticator = Authenticator(pool, 5)
    key = await make_key(pool)
    prefix, _, secret = key.partition(".")
    for wrong_key in (
        f"{prefix}.{secret}x",
        f"{prefix}.",
        prefix,
        f".{secret}",
        f"other.{secret}",
        "",
        "\xff.\xff",
        "a\0.b",
    ):
        await assert_rejected(authenticator, wrong_key)
    await authenticator.look_up(key.encode())


async def test_a_revoked_key_is_rejected_when_its_cache_entry_has_expired(pool: Pool) -> None:
    clock = Clock()
    authenticator = Authenticator(pool, 5, clock)
    key = await make_key(pool)
    await authenticator.look_up(key.encode())
    async with reading(pool) as connection:
        assert await api_keys.revoke(connection, key.partition(".")[0])
        assert not await api_keys.revoke(connection, key.partition(".")[0])
    clock.now += 4.9
    assert authenticator.cached(key.encode()) is not None
    clock.now += 0.1
    assert authenticator.cached(key.encode()) is None
    await assert_rejected(authenticator, key)


async def test_an_expired_key_is_rejected(pool: Pool) -> None:
    key = await make_key(pool)
    async with reading(pool) as connection:
        await connection.execute("UPDATE api_keys SET expires_at = now()")
    await assert_rejected(Authenticator(pool, 5), key)


async def test_a_cached_key_is_rejected_at_its_expiry_and_not_after_the_time_of_the_cache(pool: Pool) -> None:
    clock = Clock()
    authenticator = Authenticator(pool, 3600, clock)
    async with reading(pool) as connection:
        now = await connection.fetchval("SELECT now()")
        options = KeyOptions(expires_at=now + timedelta(seconds=60))
        key = await api_keys.create(connection, name="until the evening", role="client", options=options)
    await authenticator.look_up(key.encode())
    clock.now += 30
    assert authenticator.cached(key.encode()) is not None
    clock.now += 30
    assert authenticator.cached(key.encode()) is None
    async with reading(pool) as connection:
        await connection.execute("UPDATE api_keys SET expires_at = now()")
    await assert_rejected(authenticator, key)


async def test_many_requests_with_one_new_key_cause_one_query(database: Database, pool: Pool) -> None:
    key = await make_key(pool)
    authenticator = Authenticator(pool, 5)
    holders = await asyncio.gather(*(authenticator.look_up(key.encode()) for _ in range(50)))
    assert len(set(holders)) == 1
    assert pool.get_size() == 1, "two concurrent queries would have used two connections"


async def test_a_required_role_is_checked_and_operators_have_every_role() -> None:
    def caller(role: Role) -> Caller:
        return Caller(uuid4(), "key", role, None, None, new_traceparent())

    caller(Role.MANAGER).require(Role.MANAGER, Role.WAREHOUSE)
    caller(Role.OPS).require(Role.PAYMENTS)
    with pytest.raises(Problem) as raised:
        caller(Role.CLIENT).require(Role.MANAGER)
    assert raised.value.code is Code.FORBIDDEN


async def test_the_actor_of_a_caller_has_its_id_and_its_name() -> None:
    caller = Caller(uuid4(), "client_1", Role.CLIENT, None, "10.0.0.7", new_traceparent())
    assert (caller.actor.id, caller.actor.name) == (caller.id, "client_1")
    assert (caller.actor.type, caller.actor.trigger) == ("USER", "API_CALL")
    assert (caller.actor.ip_address, caller.actor.traceparent) == ("10.0.0.7", caller.traceparent)


@pytest.mark.parametrize("key", ["nodot", ".secretsecretsecret", "prefix.short", "prefix.secretsecretsécret"])
async def test_an_imported_key_must_be_valid(pool: Pool, key: str) -> None:
    async with reading(pool) as connection:
        with pytest.raises(ValueError, match=r"prefix\.secret"):
            await api_keys.add(connection, key=key, name="Anna", role="client")
