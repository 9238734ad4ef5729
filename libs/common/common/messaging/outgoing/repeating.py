"""Publish single events of the outbox again, with the same ids: consumers that have consumed them skip them."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from common.database.statements import Connection, Statement, prepare
from common.database.tables import outbox, outbox_parked, outbox_pending
from common.messaging.outgoing.outbox import lane_of

# Waiting for the relay, or parked.
is_unsent = sa.or_(
    *(sa.exists().where(each.c.position == outbox.c.position) for each in (outbox_pending, outbox_parked))
)
_lane = sa.bindparam("lane", type_=sa.SmallInteger)


def _publish(*which: sa.ColumnElement[bool]) -> Statement:
    rows = sa.select(outbox.c.position, _lane).where(*which, ~is_unsent)
    # A purge at the same moment must not leave a pending row without its event.
    rows = rows.with_for_update(key_share=True, read=True, of=outbox)
    return prepare(insert(outbox_pending).from_select(["position", "lane"], rows).on_conflict_do_nothing())


_PUBLISH = _publish(outbox.c.id == sa.bindparam("event_id", type_=sa.Uuid))
_PUBLISH_OF_KEY = _publish(
    outbox.c.topic == sa.bindparam("of_topic", type_=sa.Text),
    outbox.c.key == sa.bindparam("of_key", type_=sa.Text),
    outbox.c.type == sa.any_(sa.bindparam("types", type_=sa.ARRAY(sa.Text))),
)


async def publish_again(connection: Connection, event_id: UUID, key: str) -> int:
    """Returns how many events will be published: one, or none if it is gone or not sent yet. `key` is its own."""
    return await _PUBLISH.execute(connection, event_id=event_id, lane=lane_of(key))


async def publish_events_again(connection: Connection, topic: str, key: str, *types: str) -> int:
    """As `publish_again`, all events of a topic and key that have one of these types."""
    return await _PUBLISH_OF_KEY.execute(connection, of_topic=topic, of_key=key, types=list(types), lane=lane_of(key))
