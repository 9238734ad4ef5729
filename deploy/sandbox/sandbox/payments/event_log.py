"""Events of a provider and their deliveries to a webhook, oldest first."""

import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sandbox.payments.dialect import Event


@dataclass(frozen=True)
class Target:
    """The URL and secret of the webhooks, and the delay after their event."""

    url: str
    secret: str
    delay_seconds: float


@dataclass(frozen=True)
class Delivery:
    position: int
    payment: str
    is_forged: bool
    attempts: int
    document: dict[str, Any]


class EventLog:
    """The methods that write run inside the caller's transaction of the connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, event: Event) -> None:
        self._connection.execute(
            "INSERT INTO events (id, type, payment, created, document) VALUES (?, ?, ?, ?, ?)",
            (event.id, event.type, event.payment, event.created, json.dumps(event.document)),
        )

    def page(
        self, *, types: Collection[str], created_from: float, after: str | None, before: str | None, limit: int
    ) -> list[dict[str, Any]]:
        """The events next to a cursor: `after` an event's id in time (oldest first), or else `before` it (newest
        first)."""
        marks = ", ".join("?" * len(types))
        order = "position > (SELECT position FROM events WHERE id = ?)" if after is not None else "position < ?"
        cursor: object = after if after is not None else self._position(before)
        rows = self._connection.execute(
            f"SELECT document FROM events WHERE {order} AND created >= ?"  # noqa: S608  # nosec B608
            + (f" AND type IN ({marks})" if types else "")
            + f" ORDER BY position {'ASC' if after is not None else 'DESC'} LIMIT ?",
            (cursor, created_from, *types, limit),
        )
        return [json.loads(row["document"]) for row in rows]

    def after(self, event_id: str | None, limit: int) -> list[tuple[str, dict[str, Any]]]:
        """Ids and documents of the next events, oldest first; without an id from the first one on."""
        rows = self._connection.execute(
            "SELECT id, document FROM events WHERE position > ? ORDER BY position LIMIT ?",
            (0 if event_id is None else self._position(event_id), limit),
        )
        return [(row["id"], json.loads(row["document"])) for row in rows]

    def find(self, event_id: str) -> dict[str, Any] | None:
        row = self._connection.execute("SELECT document FROM events WHERE id = ?", (event_id,)).fetchone()
        return json.loads(row["document"]) if row else None

    def target(self) -> Target | None:
        row = self._connection.execute("SELECT url, secret, delay_seconds FROM webhook").fetchone()
        return Target(row["url"], row["secret"], row["delay_seconds"]) if row else None

    def set_target(self, target: Target | None) -> None:
        self._connection.execute("DELETE FROM webhook")
        if target is not None:
            self._connection.execute(
                "INSERT INTO webhook VALUES (1, ?, ?, ?)", (target.url, target.secret, target.delay_seconds)
            )

    def add_delivery(self, event: Event, state: str, due: float, *, is_forged: bool = False) -> None:
        self._connection.execute(
            "INSERT INTO deliveries (event_id, payment, state, is_forged, due) VALUES (?, ?, ?, ?, ?)",
            (event.id, event.payment, state, is_forged, due),
        )

    def due_deliveries(self, now: float, limit: int) -> list[Delivery]:
        rows = self._connection.execute(
            "SELECT d.position, d.payment, d.is_forged, d.attempts, e.document FROM deliveries d"
            " JOIN events e ON e.id = d.event_id WHERE d.state = 'due' AND d.due <= ? ORDER BY d.position LIMIT ?",
            (now, limit),
        )
        return [
            Delivery(row["position"], row["payment"], bool(row["is_forged"]), row["attempts"], json.loads(row[4]))
            for row in rows
        ]

    def next_due(self) -> float | None:
        value: float | None = self._connection.execute(
            "SELECT min(due) FROM deliveries WHERE state = 'due'"
        ).fetchone()[0]
        return value

    def record_delivery(self, delivery: Delivery, status: int | None, *, retry_at: float | None) -> None:
        """Store that a delivery was not accepted; it is due again at `retry_at`, or never if that is None."""
        self._connection.execute(
            "UPDATE deliveries SET attempts = attempts + 1, status = ?, state = ?, due = coalesce(?, due)"
            " WHERE position = ?",
            (status, "done" if retry_at is None else "due", retry_at, delivery.position),
        )

    def hasten(self, payment: str) -> None:
        """Make the deliveries due now that wait for a later time."""
        self._connection.execute("UPDATE deliveries SET due = 0 WHERE payment = ? AND state = 'due'", (payment,))

    def release(self, state: str, payment: str | None, before: int | None = None) -> int:
        """Make the deliveries in this state due, of one payment or of all; return their number."""
        return self._connection.execute(
            "UPDATE deliveries SET state = 'due', due = 0 WHERE state = ? AND (? IS NULL OR payment = ?)"
            " AND (? IS NULL OR position < ?)",
            (state, payment, payment, before, before),
        ).rowcount

    def untried(self, payment: str) -> int:
        """The number of due deliveries of a payment that were not attempted yet."""
        count: int = self._connection.execute(
            "SELECT count(*) FROM deliveries WHERE payment = ? AND state = 'due' AND attempts = 0", (payment,)
        ).fetchone()[0]
        return count

    def deliveries(self, payment: str | None) -> list[dict[str, Any]]:
        rows = self._connection.execute(
            "SELECT d.event_id, e.type, d.payment, d.state, d.is_forged, d.attempts, d.status FROM deliveries d"
            " JOIN events e ON e.id = d.event_id WHERE ? IS NULL OR d.payment = ? ORDER BY d.position",
            (payment, payment),
        )
        return [dict(row) | {"is_forged": bool(row["is_forged"])} for row in rows]

    def _position(self, event_id: str | None) -> int:
        if event_id is None:
            return 2**62
        row = self._connection.execute("SELECT position FROM events WHERE id = ?", (event_id,)).fetchone()
        return int(row["position"]) if row else 0
