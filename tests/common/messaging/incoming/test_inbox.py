"""The inbox processes each event of a batch once; records that cannot be processed are stored for a replay."""

import json
from base64 import b64decode
from dataclasses import replace
from uuid import UUID

import asyncpg
import pytest
from common.database.transactions import Pool, transaction
from common.errors import Code, Problem
from common.messaging.incoming.inbox import Inbox
from common.messaging.incoming.poison import NotStored, PoisonRecord, replay
from common.messaging.incoming.records import EventHandler
from prometheus_client import REGISTRY
from support.kafka.poison_records import POISON_RECORDS
from support.kafka.raw_records import RawRecord, order_shipped_record
from support.kafka.subscribers import GROUP, HANDLERS, OrderShipped, write_lines, written_lines
from support.postgres.databases import Database

TOPIC = "articurated.orders"


@pytest.fixture
def inbox(pool: Pool) -> Inbox:
    return Inbox(pool, GROUP, HANDLERS)


def received(*records: RawRecord, first_offset: int = 0) -> list[PoisonRecord]:
    """As they come out of one partition."""
    return [
        PoisonRecord(TOPIC, 0, offset, record.key, record.value, record.headers, 1_790_000_000_000, "kept")
        for offset, record in enumerate(records, first_offset)
    ]


async def kept_ids(pool: Pool) -> list[UUID]:
    return [row["id"] for row in await pool.fetch('SELECT id FROM poison ORDER BY "offset"')]


async def replay_record(pool: Pool, poison_id: UUID) -> None:
    async with transaction(pool) as connection:
        await replay(connection, GROUP, HANDLERS, poison_id)


async def test_only_new_events_count_in_the_delay_since_they_were_written(inbox: Inbox) -> None:
    def count() -> float:
        return REGISTRY.get_sample_value("consumer_event_delay_seconds_count", {"consumer": GROUP}) or 0.0

    before = count()
    first, second = order_shipped_record("order-1", 1), order_shipped_record("order-1", 2)
    await inbox.process(received(first))
    await inbox.process(received(first, second))

    assert count() == before + 2


async def test_every_kind_of_poison_record_is_stored_and_copied_alone_and_among_others(
    pool: Pool, inbox: Inbox
) -> None:
    for number, record in enumerate(POISON_RECORDS.values(), 1):
        fine = order_shipped_record(f"order-{number}", 1), order_shipped_record(f"order-{number}", 2)
        await inbox.process(received(record, first_offset=10 * number))
        await inbox.process(received(fine[0], record, fine[1], first_offset=10 * number + 1))

    expected = [(f"order-{number}", sequence) for number in range(1, len(POISON_RECORDS) + 1) for sequence in (1, 2)]
    assert await written_lines(pool) == expected
    kept = await pool.fetch('SELECT "offset", error FROM poison ORDER BY "offset"')
    copies = await pool.fetch("SELECT topic, payload FROM outbox ORDER BY position")
    records = [(name, record) for name, record in POISON_RECORDS.items() for _ in range(2)]
    for row, copy, (name, record) in zip(kept, copies, records, strict=True):
        letter = json.loads(copy["payload"])
        assert copy["topic"] == "articurated.invoicing.dead-letters"
        assert (letter["topic"], letter["offset"], letter["error"]) == (TOPIC, row["offset"], row["error"]), name
        assert (letter["value"] and b64decode(letter["value"])) == record.value, name


async def test_a_redelivered_poison_record_is_stored_and_copied_once(pool: Pool, inbox: Inbox) -> None:
    for _ in range(2):
        await inbox.process(received(POISON_RECORDS["no JSON"]))
    assert len(await kept_ids(pool)) == 1
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 1


@pytest.mark.parametrize("state", ["kept", "replayed"])
async def test_another_record_at_an_old_offset_is_stored_and_copied_too(pool: Pool, inbox: Inbox, state: str) -> None:
    """Kafka was lost and filled again, or the topic was made anew."""
    for number, record in enumerate(POISON_RECORDS.values()):
        await inbox.process(received(record, first_offset=number // 2))
    await pool.execute("UPDATE poison SET state = $1, replayed_at = now()", state)
    for number, record in enumerate(POISON_RECORDS.values()):
        await inbox.process(received(record, record, first_offset=number // 2))
        await inbox.process(received(record, first_offset=number // 2))

    kept = await pool.fetch('SELECT "offset", digest FROM poison')
    places = {number // 2 + more for number in range(len(POISON_RECORDS)) for more in (0, 1)}
    assert {row["offset"] for row in kept} == places
    assert len({(row["offset"], row["digest"]) for row in kept}) == len(kept)
    copies = await pool.fetch("SELECT id, aggregateid, topic, key, sequence FROM outbox")
    assert len(copies) == len(kept)
    assert len({row["id"] for row in copies}) == len({row["aggregateid"] for row in copies}) == len(kept)


@pytest.mark.parametrize(
    "other",
    [
        POISON_RECORDS["no JSON"].with_header("ce_id", b"another"),
        POISON_RECORDS["no JSON"].without_header("ce_source"),
        replace(POISON_RECORDS["no JSON"], value=b"{not"),
        replace(POISON_RECORDS["no JSON"], value=None),
        replace(POISON_RECORDS["no JSON"], key=None),
        replace(POISON_RECORDS["no JSON"], key=b"order-2"),
    ],
)
async def test_poison_records_that_differ_in_one_part_are_stored_separately(
    pool: Pool, inbox: Inbox, other: RawRecord
) -> None:
    for record in (POISON_RECORDS["no JSON"], other, POISON_RECORDS["no JSON"], other):
        await inbox.process(received(record))
    assert len(await kept_ids(pool)) == 2
    assert await pool.fetchval("SELECT count(DISTINCT (topic, key, sequence)) FROM outbox") == 2


async def test_a_poison_record_that_is_not_stored_is_not_skipped(pool: Pool, database: Database) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("CREATE RULE lost AS ON INSERT TO poison DO INSTEAD NOTHING")
    await owner.close()
    with pytest.raises(NotStored):
        await Inbox(pool, GROUP, HANDLERS).process(received(POISON_RECORDS["no JSON"]))


async def test_the_dead_letters_of_one_order_have_consecutive_sequences(pool: Pool, inbox: Inbox) -> None:
    await inbox.process(
        received(POISON_RECORDS["no JSON"], POISON_RECORDS["null value"], POISON_RECORDS["key that is no text"])
    )
    copies = await pool.fetch("SELECT key, sequence FROM outbox ORDER BY position")
    assert [tuple(row.values()) for row in copies] == [("poisonous", 1), ("poisonous", 2), (copies[2]["key"], 1)]
    assert copies[2]["key"].startswith(f"{TOPIC}-0-2-")


async def test_the_dead_letter_of_a_very_large_record_omits_its_content(pool: Pool, inbox: Inbox) -> None:
    vast = b"x" * 800_000  # a third more in base64: too large for the outbox
    await inbox.process(received(RawRecord(vast, [])))
    assert await pool.fetchval("SELECT value FROM poison") == vast
    letter = json.loads(await pool.fetchval("SELECT payload FROM outbox"))
    assert (letter["value"], letter["content_omitted"]) == (None, True)


async def test_events_of_types_with_one_handler_are_processed_together_in_order(pool: Pool) -> None:
    both = EventHandler(OrderShipped, write_lines)
    inbox = Inbox(pool, GROUP, {"order.paid": both, "order.shipped": both})
    await inbox.process(
        received(
            order_shipped_record("order-1", 1, "order.paid"),
            order_shipped_record("order-1", 2),
            order_shipped_record("order-1", 3, "order.paid"),
        )
    )
    assert await written_lines(pool) == [("order-1", 1), ("order-1", 2), ("order-1", 3)]


async def test_a_poison_record_whose_cause_was_removed_is_replayed_once(pool: Pool, inbox: Inbox) -> None:
    async def refuse(*_: object) -> None:
        raise RuntimeError("not today")

    unmended = Inbox(pool, GROUP, {"order.shipped": EventHandler(OrderShipped, refuse)})
    event = received(order_shipped_record("order-1"))
    await unmended.process(event)
    (poison_id,) = await kept_ids(pool)

    await replay_record(pool, poison_id)
    assert await written_lines(pool) == [("order-1", 1)]
    with pytest.raises(Problem, match="replayed before") as refused:
        await replay_record(pool, poison_id)
    assert refused.value.code is Code.CONFLICT

    await inbox.process(event)
    assert await written_lines(pool) == [("order-1", 1)]


async def test_a_poison_record_that_is_still_unreadable_or_unknown_is_not_replayed(pool: Pool, inbox: Inbox) -> None:
    await inbox.process(received(POISON_RECORDS["no JSON"]))
    (poison_id,) = await kept_ids(pool)
    with pytest.raises(Problem, match="still unreadable"):
        await replay_record(pool, poison_id)
    with pytest.raises(Problem) as unknown:
        await replay_record(pool, UUID(int=0))
    assert unknown.value.code is Code.NOT_FOUND
    assert await pool.fetchval("SELECT state FROM poison") == "kept"
