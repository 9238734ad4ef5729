"""The statements of the variants, as SQLAlchemy Core and as SQL text."""

from typing import Any

from benchmarks.hot_path_schema import order_audit, order_lines, orders, outbox
from sqlalchemy import JSON, Uuid, bindparam, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import aggregate_order_by

# ruff: noqa: S608 - the SQL is built from constants

the_order = orders.c.id == bindparam("order_id", type_=Uuid)
now = func.clock_timestamp().label("now")
# The lines are read from the snapshot taken before the lock was granted, which is correct because they never change
# after the placement. Of the order itself, FOR UPDATE returns the latest version.
lines_as_json = (
    select(func.json_agg(aggregate_order_by(order_lines.table_valued(), order_lines.c.position), type_=JSON))
    .where(order_lines.c.order_id == orders.c.id)
    .scalar_subquery()
    .label("lines")
)
lock_order = select(orders, now).where(the_order).with_for_update()
lock_order_with_lines = select(orders, now, lines_as_json).where(the_order).with_for_update()
read_order = select(orders, lines_as_json).where(the_order)
read_lines = select(order_lines).where(order_lines.c.order_id == bindparam("order_id")).order_by(order_lines.c.position)
update_order = (
    update(orders)
    .where(the_order)
    .values(
        status=bindparam("new_state"),
        tracking_number=bindparam("tracking_number"),
        carrier=bindparam("carrier"),
        shipped_at=bindparam("now"),
        updated_at=bindparam("now"),
        version=bindparam("version"),
        sequence=bindparam("sequence"),
        audit_number=bindparam("audit_number"),
        audit_head=bindparam("digest"),
    )
)
AUDIT_VALUES: dict[str, Any] = {
    "entity_id": bindparam("order_id"),
    "number": bindparam("audit_number"),
    "previous_state": bindparam("previous_state"),
    "new_state": bindparam("new_state"),
    "actor_id": bindparam("actor_id"),
    "metadata": bindparam("metadata"),
    "created_at": bindparam("now"),
    "digest": bindparam("digest"),
}
OUTBOX_VALUES: dict[str, Any] = {
    "id": bindparam("event_id"),
    "aggregatetype": literal("order", literal_execute=True),
    "aggregateid": bindparam("aggregate_id"),
    "type": literal("com.articurated.order.shipped.v1", literal_execute=True),
    "lane": bindparam("lane"),
    "sequence": bindparam("sequence"),
    "payload": bindparam("payload"),
    "headers": bindparam("headers"),
}
insert_audit = insert(order_audit).inline().values(AUDIT_VALUES)
insert_outbox = insert(outbox).values(OUTBOX_VALUES)
write_shipped = insert_outbox.add_cte(update_order.cte("changed"), insert_audit.cte("audited"))
LOCK_ORDER = "SELECT *, clock_timestamp() AS now FROM orders WHERE id = $1 FOR UPDATE"
LINES = "(SELECT json_agg(order_lines ORDER BY position) FROM order_lines WHERE order_id = orders.id) AS lines"
LOCK_ORDER_WITH_LINES = f"SELECT *, clock_timestamp() AS now, {LINES} FROM orders WHERE id = $1 FOR UPDATE"
READ_ORDER = f"SELECT *, {LINES} FROM orders WHERE id = $1"
READ_LINES = "SELECT * FROM order_lines WHERE order_id = $1 ORDER BY position"
UPDATE_ORDER = """
UPDATE orders SET status = $2, tracking_number = $3, carrier = $4, shipped_at = $5, updated_at = $5, version = $6,
                  sequence = $7, audit_number = $8, audit_head = $9 WHERE id = $1"""
INSERT_AUDIT = """
INSERT INTO order_audit (entity_id, number, created_at, digest, previous_state, new_state, actor_id, metadata)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"""
INSERT_OUTBOX = """
INSERT INTO outbox (id, aggregatetype, aggregateid, type, lane, sequence, payload, headers)
VALUES ($1, 'order', $2, 'com.articurated.order.shipped.v1', $3, $4, $5, $6)"""
WRITE_SHIPPED = f"""
WITH changed AS ({UPDATE_ORDER}), audited AS (
  INSERT INTO order_audit (entity_id, number, created_at, digest, previous_state, new_state, actor_id, metadata)
  VALUES ($1, $8, $5, $9, $10, $2, $11, $12))
INSERT INTO outbox (id, aggregatetype, aggregateid, type, lane, sequence, payload, headers)
VALUES ($13, 'order', $14, 'com.articurated.order.shipped.v1', $15, $7, $16, $17)"""
# Optimistic: the row is not locked while Python computes the change; if it has changed since, nothing is written.
WRITE_SHIPPED_IF_UNCHANGED = f"""
WITH changed AS ({UPDATE_ORDER} AND version = $6 - 1 RETURNING id), audited AS (
  INSERT INTO order_audit (entity_id, number, created_at, digest, previous_state, new_state, actor_id, metadata)
  SELECT id, $8, $5, $9, $10, $2, $11, $12 FROM changed)
INSERT INTO outbox (id, aggregatetype, aggregateid, type, lane, sequence, payload, headers)
SELECT $13, 'order', $14, 'com.articurated.order.shipped.v1', $15, $7, $16, $17 FROM changed"""
PARAMETER_NAMES = (
    *("order_id", "new_state", "tracking_number", "carrier", "now", "version", "sequence", "audit_number", "digest"),
    *("previous_state", "actor_id", "metadata", "event_id", "aggregate_id", "lane", "payload", "headers"),
)
FIND_RESPONSE = """
SELECT pg_try_advisory_xact_lock(hashtextextended($1 || $2, 0)),
       (SELECT body FROM idempotency_answers WHERE scope = $1 AND key = $2)"""
INSERT_RESPONSE = """
INSERT INTO idempotency_answers (scope, key, request_digest, status, body) VALUES ($1, $2, $3, $4, $5)"""
