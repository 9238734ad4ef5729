"""Timeline of one key: what this service knows of everything that happened to it (ADR 42).

Every statement finds its rows by an index, so that the answer takes as long with a million keys as with one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from common.database.statements import Connection, Record
from common.messaging.kafka.partitioner import partition_of
from common.operators import timeline_rows as rows
from common.operators.timeline_results import TimelineChange, TimelineConsumer, TimelineEvent, TimelinePoison


@dataclass(frozen=True, slots=True)
class TimelineSubject:
    """What belongs to a key: `entities` of the audit trail with their names there, and `jobs` by kind and business key.
    `members` are the service's own part of the answer."""

    entities: Sequence[tuple[str, UUID]] = ()
    jobs: Sequence[tuple[str, str]] = ()
    members: Mapping[str, object] = field(default_factory=dict)


async def read_timeline(
    connection: Connection, key: str, subject: TimelineSubject, *, published: Sequence[str], consumed: Sequence[str]
) -> dict[str, Any]:
    """The members of a `Timeline` and those of the subject; of each entity, topic and job the latest `MOST_ROWS`.

    `published` are the topics of the service's own events, `consumed` those that it reads.
    """
    jobs = await rows.find_jobs(connection, subject.jobs)
    entities = [*subject.entities, *(("JOB", job["id"]) for job in jobs)]
    consumers = await _consumers(connection, consumed, key)
    return {
        **await rows.find_state(connection),
        "changes": [_change(row) for row in await rows.find_changes(connection, entities)],
        "events": [_event(row) for row in await rows.find_events(connection, published, key)],
        "jobs": jobs,
        "poison": await _poison(connection, consumers, key),
        "discrepancies": [dict(row) for row in await rows.find_discrepancies(connection, key)],
        "consumers": consumers,
        **subject.members,
    }


def _change(row: Record) -> dict[str, Any]:
    """Details are the text of a JSON object; they are null after their erasure."""
    details = msgspec.json.decode(row["details"] or "{}")
    derived = {"actor": details.pop("actor_name", None), "details": details}
    return {name: derived[name] if name in derived else row[name] for name in TimelineChange.__annotations__}


def _event(row: Record) -> dict[str, Any]:
    members = {name: row[name] for name in TimelineEvent.__annotations__ if name != "state"}
    if row["parked_at"] is not None:
        return {**members, "state": "parked"}
    return {**members, "state": "published" if row["hold"] is None else "held" if row["hold"] else "pending"}


async def _consumers(connection: Connection, topics: Sequence[str], key: str) -> list[dict[str, Any]]:
    """Of each topic the key's partition."""
    positions = await rows.find_positions(connection, topics)
    consumers = []
    for topic in topics:
        of_topic = {row["partition"]: row for row in positions if row["topic"] == topic}
        count = max((row["partition_count"] or 0 for row in of_topic.values()), default=0) or len(of_topic)
        partition = partition_of(key, count) if count else None
        row: Mapping[str, Any] = dict(of_topic[partition]) if partition in of_topic else {}
        names = [name for name in TimelineConsumer.__annotations__ if name not in ("topic", "partition")]
        consumers.append({"topic": topic, "partition": partition, **{name: row.get(name) for name in names}})
    return consumers


async def _poison(connection: Connection, consumers: Sequence[Mapping[str, Any]], key: str) -> list[dict[str, Any]]:
    """Records of the key; and batches of its partitions, whose keys nobody can read."""
    partitions = {(each["topic"], each["partition"]) for each in consumers}
    return [
        {name: row[name] for name in TimelinePoison.__annotations__}
        for row in await rows.find_poison(connection, key.encode())
        if row["kind"] == "record" or (row["topic"], row["partition"]) in partitions
    ]
