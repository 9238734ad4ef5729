"""The SQLite file of a provider: its schema, and durable transactions."""

import sqlite3
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS refunds (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, payment_intent TEXT, charge TEXT, reference TEXT,
    amount INTEGER NOT NULL, idempotency_key TEXT, recorded_at TEXT NOT NULL, refund TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS refunds_by_payment_intent ON refunds (payment_intent);
CREATE INDEX IF NOT EXISTS refunds_by_charge ON refunds (charge);
CREATE INDEX IF NOT EXISTS refunds_by_reference ON refunds (reference);
CREATE TABLE IF NOT EXISTS answers (
    idempotency_key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS calls (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, received_at TEXT NOT NULL, method TEXT NOT NULL,
    path TEXT NOT NULL, idempotency_key TEXT, payment TEXT, reference TEXT, outcome TEXT NOT NULL, status INTEGER);
CREATE INDEX IF NOT EXISTS calls_by_payment ON calls (payment);
CREATE TABLE IF NOT EXISTS captures (payment TEXT PRIMARY KEY, amount INTEGER NOT NULL, currency TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS disputes (
    id TEXT PRIMARY KEY, payment TEXT NOT NULL, amount INTEGER NOT NULL, currency TEXT NOT NULL, reason TEXT NOT NULL,
    status TEXT NOT NULL, created REAL NOT NULL);
CREATE INDEX IF NOT EXISTS disputes_by_payment ON disputes (payment);
CREATE TABLE IF NOT EXISTS later_changes (
    position INTEGER PRIMARY KEY, due REAL NOT NULL, refund_id TEXT NOT NULL, status TEXT NOT NULL, reason TEXT);
CREATE TABLE IF NOT EXISTS events (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, payment TEXT NOT NULL,
    created REAL NOT NULL, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS webhook (
    only INTEGER PRIMARY KEY CHECK (only = 1), url TEXT NOT NULL, secret TEXT NOT NULL, delay_seconds REAL NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    position INTEGER PRIMARY KEY, event_id TEXT NOT NULL, payment TEXT NOT NULL, state TEXT NOT NULL,
    is_forged INTEGER NOT NULL, due REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, status INTEGER);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (due) WHERE state = 'due';
CREATE INDEX IF NOT EXISTS deliveries_by_payment ON deliveries (payment);
"""


def open_database(path: Path) -> sqlite3.Connection:
    """A transaction (`with connection:`) is on disk when it ends (WAL, synchronous=FULL).

    It blocks the event loop, so that the check and the write of one request are not interleaved with those of another.
    """
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.executescript(SCHEMA)
    # A file of an older version.
    if "listed_from" not in {row["name"] for row in connection.execute("PRAGMA table_info(refunds)")}:
        connection.execute("ALTER TABLE refunds ADD COLUMN listed_from REAL NOT NULL DEFAULT 0")
    return connection
