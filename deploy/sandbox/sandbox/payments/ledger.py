"""Ledger of a provider: refunds, captures, responses by idempotency key, and calls."""

import json
import sqlite3
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.payments.dialect import Dispute
from sandbox.payments.refund import Capture, Refund, reference_of


@dataclass
class Call:
    """A request to the API. Its id is the Request-Id in Stripe's SDK; its status is None if there was no response."""

    id: str
    received_at: str
    method: str
    path: str
    idempotency_key: str | None
    payment: str | None = None
    reference: str | None = None
    outcome: str = "received"
    status: int | None = None


@dataclass(frozen=True)
class StoredResponse:
    """The response that an idempotency key replays."""

    fingerprint: str
    """Identifies the parameters of the request."""
    status: int
    body: dict[str, Any]


@dataclass(frozen=True)
class RefundFilter:
    """Conditions on listed refunds; None is no condition."""

    payment_intent: str | None = None
    charge: str | None = None
    reference: str | None = None
    created_from: float | None = None
    starting_after: str | None = None
    """The id of the last refund of the previous page."""


class Ledger:
    """The methods that write run inside the caller's transaction of the connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def write_call(self, call: Call) -> None:
        """Insert a call, or update its outcome."""
        self._connection.execute(
            "INSERT INTO calls (id, received_at, method, path, idempotency_key, payment, reference, outcome, status)"
            " VALUES (:id, :received_at, :method, :path, :idempotency_key, :payment, :reference, :outcome, :status)"
            " ON CONFLICT (id) DO UPDATE SET outcome = excluded.outcome, status = excluded.status",
            asdict(call),
        )

    def write_response(self, idempotency_key: str, response: StoredResponse) -> None:
        self._connection.execute(
            "INSERT INTO answers VALUES (?, ?, ?, ?)",
            (idempotency_key, response.fingerprint, response.status, json.dumps(response.body)),
        )

    def forget_responses(self, payment: str | None) -> int:
        """Delete the responses of idempotency keys, of one payment or of all, as Stripe does after 24 hours or more.
        Returns their number."""
        return self._connection.execute(
            "DELETE FROM answers WHERE :payment IS NULL"
            " OR idempotency_key IN (SELECT idempotency_key FROM calls WHERE payment = :payment)",
            {"payment": payment},
        ).rowcount

    def add_refund(self, refund: Refund, idempotency_key: str | None = None, listed_from: float = 0) -> None:
        """Store the refund. Lists contain it from `listed_at` on, in seconds since 1970."""
        self._connection.execute(
            "INSERT INTO refunds (id, payment_intent, charge, reference, amount, idempotency_key, recorded_at, refund,"
            " listed_from) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                refund["id"],
                refund["payment_intent"],
                refund["charge"],
                reference_of(refund),
                refund["amount"],
                idempotency_key,
                datetime.now(UTC).isoformat(),
                json.dumps(refund),
                listed_from,
            ),
        )

    def replace_refund(self, refund: Refund) -> None:
        self._connection.execute("UPDATE refunds SET refund = ? WHERE id = ?", (json.dumps(refund), refund["id"]))

    def declare_capture(self, payment: str, amount: int, currency: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO captures VALUES (?, ?, ?)", (payment, amount, currency))

    def capture(self, payment: str) -> Capture | None:
        row = self._one("SELECT amount, currency FROM captures WHERE payment = ?", payment)
        return Capture(row["amount"], row["currency"]) if row else None

    def currency(self, payment: str) -> str | None:
        """The currency of the capture, or else of the latest refund."""
        capture = self.capture(payment)
        if capture is not None:
            return capture.currency
        row = self._connection.execute(
            "SELECT json_extract(refund, '$.currency') FROM refunds WHERE payment_intent = :payment"
            " OR charge = :payment ORDER BY position DESC LIMIT 1",
            {"payment": payment},
        ).fetchone()
        return str(row[0]) if row else None

    def refunded(self, payment: str) -> int:
        """The sum of all refunds of a payment that have an effect, in minor units."""
        row = self._connection.execute(
            "SELECT coalesce(sum(amount), 0) FROM refunds WHERE (payment_intent = :payment OR charge = :payment)"
            " AND json_extract(refund, '$.status') NOT IN ('failed', 'canceled')",
            {"payment": payment},
        ).fetchone()
        return int(row[0])

    def response(self, idempotency_key: str) -> StoredResponse | None:
        row = self._one("SELECT fingerprint, status, body FROM answers WHERE idempotency_key = ?", idempotency_key)
        return StoredResponse(row["fingerprint"], row["status"], json.loads(row["body"])) if row else None

    def refund(self, refund_id: str) -> Refund | None:
        row = self._one("SELECT refund FROM refunds WHERE id = ?", refund_id)
        return json.loads(row["refund"]) if row else None

    def refunds(self, wanted: RefundFilter, limit: int) -> list[Refund]:
        """A page of the refunds that lists contain by now, newest first."""
        rows = self._connection.execute(
            "SELECT refund FROM refunds WHERE (:payment_intent IS NULL OR payment_intent = :payment_intent)"
            " AND (:charge IS NULL OR charge = :charge) AND (:reference IS NULL OR reference = :reference)"
            " AND (:created_from IS NULL OR json_extract(refund, '$.created') >= :created_from)"
            " AND (:starting_after IS NULL OR position < (SELECT position FROM refunds WHERE id = :starting_after))"
            " AND listed_from <= :now ORDER BY position DESC LIMIT :limit",
            asdict(wanted) | {"limit": limit, "now": time.time()},
        )
        return [json.loads(row["refund"]) for row in rows]

    def refund_entries(self, payment: str | None, reference: str | None) -> list[dict[str, Any]]:
        """Refunds with their idempotency keys and times of storage, oldest first."""
        rows = self._connection.execute(
            "SELECT refund, idempotency_key, recorded_at FROM refunds"
            " WHERE (:payment IS NULL OR payment_intent = :payment OR charge = :payment)"
            " AND (:reference IS NULL OR reference = :reference) ORDER BY position",
            {"payment": payment, "reference": reference},
        )
        return [
            json.loads(row["refund"]) | {"idempotency_key": row["idempotency_key"], "recorded_at": row["recorded_at"]}
            for row in rows
        ]

    def calls(self, payment: str | None, reference: str | None) -> list[dict[str, Any]]:
        rows = self._connection.execute(
            "SELECT id, received_at, method, path, idempotency_key, payment, reference, outcome, status FROM calls"
            " WHERE (:payment IS NULL OR payment = :payment) AND (:reference IS NULL OR reference = :reference)"
            " ORDER BY position",
            {"payment": payment, "reference": reference},
        )
        return [dict(row) for row in rows]

    def write_dispute(self, dispute: Dispute) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO disputes (id, payment, amount, currency, reason, status, created)"
            " VALUES (:id, :payment, :amount, :currency, :reason, :status, :created)",
            asdict(dispute),
        )

    def dispute(self, payment: str) -> Dispute | None:
        """The latest dispute of a payment."""
        row = self._one("SELECT * FROM disputes WHERE payment = ? ORDER BY created DESC LIMIT 1", payment)
        return Dispute(**dict(row)) if row else None

    def add_change(self, refund_id: str, due: float, status: str, reason: str | None) -> None:
        self._connection.execute(
            "INSERT INTO later_changes (due, refund_id, status, reason) VALUES (?, ?, ?, ?)",
            (due, refund_id, status, reason),
        )

    def take_changes(self, *, due: float = 0, payment: str | None = None) -> list[tuple[str, str, str | None]]:
        """Remove the changes that are due at that time, or all of a payment's refunds: refund id, status, reason."""
        rows = self._connection.execute(
            "DELETE FROM later_changes WHERE due <= :due"
            " OR refund_id IN (SELECT id FROM refunds WHERE payment_intent = :payment OR charge = :payment)"
            " RETURNING due, position, refund_id, status, reason",
            {"due": due, "payment": payment},
        ).fetchall()
        return [tuple(row)[2:] for row in sorted(rows, key=lambda row: (row["due"], row["position"]))]

    def next_change(self) -> float | None:
        value: float | None = self._connection.execute("SELECT min(due) FROM later_changes").fetchone()[0]
        return value

    def _one(self, statement: str, key: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._connection.execute(statement, (key,)).fetchone()
        return row
