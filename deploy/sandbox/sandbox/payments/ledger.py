"""Ledger of the payment gateway in a SQLite file: refunds, responses by idempotency key, calls and captures."""

import json
import sqlite3
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.payments.refund import Capture

SCHEMA = """
CREATE TABLE IF NOT EXISTS refunds (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, payment_intent TEXT, charge TEXT, reference TEXT,
    amount INTEGER NOT NULL, idempotency_key TEXT, recorded_at TEXT NOT NULL, refund TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS refunds_by_payment_intent ON refunds (payment_intent);
CREATE INDEX IF NOT EXISTS refunds_by_charge ON refunds (charge);
CREATE TABLE IF NOT EXISTS answers (
    idempotency_key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS calls (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, received_at TEXT NOT NULL, method TEXT NOT NULL,
    path TEXT NOT NULL, idempotency_key TEXT, payment TEXT, reference TEXT, outcome TEXT NOT NULL, status INTEGER);
CREATE TABLE IF NOT EXISTS captures (payment TEXT PRIMARY KEY, amount INTEGER NOT NULL, currency TEXT NOT NULL);
"""


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


class Ledger:
    """Every method that writes returns after its rows are on disk (WAL, synchronous=FULL).

    Nothing expires, whereas Stripe removes idempotency keys after 24 hours or more. The methods block the event loop
    during a write, so that the check and the write of one request are not interleaved with those of another.
    """

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(SCHEMA)

    def close(self) -> None:
        self._connection.close()

    def store(self, call: Call, response: StoredResponse | None = None, refund: dict[str, Any] | None = None) -> None:
        """Insert or update a call, with the response for its idempotency key and its refund, in one transaction."""
        with self._connection:
            self._write_call(call)
            if response is not None and call.idempotency_key is not None:
                self._connection.execute(
                    "INSERT INTO answers VALUES (?, ?, ?, ?)",
                    (call.idempotency_key, response.fingerprint, response.status, json.dumps(response.body)),
                )
            if refund is not None:
                self._write_refund(call, refund)

    def declare_capture(self, payment: str, capture: Capture) -> None:
        with self._connection:
            self._connection.execute(
                "INSERT OR REPLACE INTO captures VALUES (?, ?, ?)", (payment, capture.amount, capture.currency)
            )

    def capture(self, payment: str) -> Capture | None:
        row = self._one("SELECT amount, currency FROM captures WHERE payment = ?", payment)
        return Capture(row["amount"], row["currency"]) if row else None

    def refunded(self, payment: str) -> int:
        """The sum of all refunds of a payment, in minor units."""
        row = self._connection.execute(
            "SELECT coalesce(sum(amount), 0) FROM refunds WHERE payment_intent = :payment OR charge = :payment",
            {"payment": payment},
        ).fetchone()
        return int(row[0])

    def response(self, idempotency_key: str) -> StoredResponse | None:
        row = self._one("SELECT fingerprint, status, body FROM answers WHERE idempotency_key = ?", idempotency_key)
        return StoredResponse(row["fingerprint"], row["status"], json.loads(row["body"])) if row else None

    def refund(self, refund_id: str) -> dict[str, Any] | None:
        row = self._one("SELECT refund FROM refunds WHERE id = ?", refund_id)
        return json.loads(row["refund"]) if row else None

    def refunds(
        self, *, payment_intent: str | None, charge: str | None, starting_after: str | None, limit: int
    ) -> list[dict[str, Any]]:
        """A page of refunds, newest first. `starting_after` is the id of the last refund of the previous page."""
        rows = self._connection.execute(
            "SELECT refund FROM refunds"
            " WHERE (:payment_intent IS NULL OR payment_intent = :payment_intent)"
            " AND (:charge IS NULL OR charge = :charge)"
            " AND (:starting_after IS NULL OR position < (SELECT position FROM refunds WHERE id = :starting_after))"
            " ORDER BY position DESC LIMIT :limit",
            {"payment_intent": payment_intent, "charge": charge, "starting_after": starting_after, "limit": limit},
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

    def _one(self, statement: str, key: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._connection.execute(statement, (key,)).fetchone()
        return row

    def _write_call(self, call: Call) -> None:
        self._connection.execute(
            "INSERT INTO calls (id, received_at, method, path, idempotency_key, payment, reference, outcome, status)"
            " VALUES (:id, :received_at, :method, :path, :idempotency_key, :payment, :reference, :outcome, :status)"
            " ON CONFLICT (id) DO UPDATE SET outcome = excluded.outcome, status = excluded.status",
            asdict(call),
        )

    def _write_refund(self, call: Call, refund: dict[str, Any]) -> None:
        self._connection.execute(
            "INSERT INTO refunds (id, payment_intent, charge, reference, amount, idempotency_key, recorded_at, refund)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                refund["id"],
                refund["payment_intent"],
                refund["charge"],
                call.reference,
                refund["amount"],
                call.idempotency_key,
                datetime.now(UTC).isoformat(),
                json.dumps(refund),
            ),
        )
