"""The hash chain of audit rows reveals changed and removed rows; personal data can be erased."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from common.audit import entries
from common.audit.actor import Actor
from common.audit.entries import AuditEntry
from common.database.transactions import Pool, reading, transaction
from support.events.traceparent import TRACEPARENT
from support.postgres.audit_trail import first_broken, history
from support.postgres.databases import Database

ORDER = UUID("0192f3a4-0000-7000-8000-000000000001")
MANAGER = Actor(UUID(int=7), "mgr1", "USER", "API_CALL", TRACEPARENT, ip_address="192.0.2.7")
PAID = AuditEntry(
    "ORDER", ORDER, "PENDING_PAYMENT", "PAID", "ACCEPTED", MANAGER, datetime(2026, 11, 22, 12, tzinfo=UTC)
)
CANCELLED = replace(PAID, previous_state="PAID", new_state="CANCELLED", details={"reason": "Zoë changed her mind"})


@pytest.fixture(autouse=True)
async def _entries(pool: Pool) -> None:
    for entry in (PAID, CANCELLED, replace(CANCELLED, outcome="REFUSED")):
        async with transaction(pool) as connection:
            await entries.append(connection, entry)


async def chain(pool: Pool) -> list[dict[str, Any]]:
    async with reading(pool) as connection:
        return [dict(row) for row in await history(connection, "ORDER", ORDER)]


async def test_an_unchanged_chain_verifies(pool: Pool) -> None:
    rows = await chain(pool)
    assert [row["position"] for row in rows] == [1, 2, 3]
    assert first_broken(rows) is None


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("new_state", "DELIVERED"),
        ("actor_id", "somebody else"),
        ("outcome", "REFUSED"),
        ("created_at", datetime(2026, 11, 23, tzinfo=UTC)),
        ("details", '{"reason": "forged"}'),
        ("details", None),
        ("ip_address", "203.0.113.9"),
        ("salt", None),
        ("salt", bytes(16)),
        ("details_digest", bytes(32)),
        ("hash", bytes(32)),
    ],
)
async def test_a_changed_row_is_detected(pool: Pool, column: str, value: object) -> None:
    rows = await chain(pool)
    rows[1][column] = value
    broken = first_broken(rows)
    assert broken is not None
    assert broken["position"] == 2


async def test_a_text_that_lost_its_beginning_to_its_salt_is_detected(pool: Pool) -> None:
    """The digest is over both, one after the other, and so unchanged."""
    rows = await chain(pool)
    salt, details = rows[1]["salt"], rows[1]["details"]
    rows[1].update(salt=salt + details[:9].encode(), details=details[9:])
    assert first_broken(rows) == rows[1]


async def test_an_address_without_a_text_is_not_taken_for_an_erasure(pool: Pool) -> None:
    rows = await chain(pool)
    rows[1].update(salt=None, details=None)
    assert first_broken(rows) == rows[1]


async def test_a_missing_row_is_detected(pool: Pool) -> None:
    first, _, third = await chain(pool)
    assert first_broken([first, third]) == third


async def test_after_erasing_details_deliberately_the_chain_still_verifies(pool: Pool, database: Database) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        async with owner.transaction():
            await owner.execute("SET LOCAL articurated.erasure = 'on'")
            await owner.execute("DELETE FROM audit_details")
    finally:
        await owner.close()
    rows = await chain(pool)
    assert [row["details"] for row in rows] == [None, None, None]
    assert first_broken(rows) is None


async def test_the_chain_row_contains_no_free_text(pool: Pool) -> None:
    row_texts = await pool.fetchval("SELECT string_agg(audit::text, ' ') FROM audit")
    assert "Zoë" not in row_texts
    assert "192.0.2.7" not in row_texts
