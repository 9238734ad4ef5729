"""The closing of the book: the sums of its postings up to a position, so that the trial balance reads only those after
it (ADR 47)."""

from collections.abc import Sequence
from dataclasses import dataclass

from common.database.statements import Connection, Record, prepare
from sqlalchemy import text

from refunds.domain.book import Account
from refunds.repository.trial_balance import LONGEST_READING_SECONDS

_NAMES = ", ".join(f"('{account}')" for account in Account)
_BALANCES = ", ".join(f"('{account}', {'-captured' if account is Account.PAYMENT else account})" for account in Account)
# One statement, and so one instant: a closing is replaced as a whole. Of a payment with postings after the closing, all
# postings are read, and its balances, which the trigger keeps; the balances of all others are those of the
# closing, which was made only where they agreed. Each OFFSET 0 keeps the planner at an index: it would expect a third
# of all postings behind a position that it does not know.
_ACCOUNTS = prepare(
    text(
        f"""
        WITH closed AS (
            SELECT coalesce(max(position), 0) AS position FROM book_closing
        ), entries AS MATERIALIZED (
            SELECT entry.* FROM closed CROSS JOIN LATERAL (
                SELECT payment_id, source, target, amount FROM postings WHERE postings.position > closed.position
                ORDER BY postings.position OFFSET 0
            ) AS entry
        ), touched AS MATERIALIZED (
            SELECT payment.* FROM (SELECT DISTINCT payment_id FROM entries) AS chosen CROSS JOIN LATERAL (
                SELECT * FROM book_payments WHERE id = chosen.payment_id OFFSET 0
            ) AS payment
        ), moved AS (
            SELECT currency, source, target, sum(amount) AS amount
            FROM entries JOIN touched ON touched.id = entries.payment_id GROUP BY currency, source, target
        ), earlier AS (
            SELECT currency, source, target, sum(amount) AS amount
            FROM closed CROSS JOIN touched CROSS JOIN LATERAL (
                SELECT source, target, amount FROM postings
                WHERE payment_id = touched.id AND postings.position <= closed.position OFFSET 0
            ) AS entry
            GROUP BY currency, source, target
        ), lines (currency, account, debits, credits, balance) AS (
            SELECT currency, account, debits, credits, debits - credits FROM book_closing
            UNION ALL SELECT currency, target, amount, 0, 0 FROM moved
            UNION ALL SELECT currency, source, 0, amount, 0 FROM moved
            UNION ALL SELECT currency, target, 0, 0, -amount FROM earlier
            UNION ALL SELECT currency, source, 0, 0, amount FROM earlier
            UNION ALL SELECT currency, each.account, 0, 0, each.balance
            FROM touched CROSS JOIN LATERAL (VALUES {_BALANCES}) AS each (account, balance)
        )
        SELECT currency, account, sum(debits) AS debits, sum(credits) AS credits, sum(balance) AS balance
        FROM lines GROUP BY currency, account ORDER BY currency, account
        """  # noqa: S608 # nosec B608 # names of accounts
    )
)
# All rows have the same position, also where two processes close at the same time: the one that is behind changes none.
_CLOSE = prepare(
    text(
        f"""
        WITH closed AS (
            SELECT * FROM book_closing WHERE NOT CAST(:anew AS boolean)
        ), moved AS (
            SELECT currency, source, target, sum(amount) AS amount
            FROM postings JOIN book_payments ON book_payments.id = postings.payment_id
            WHERE postings.position <= CAST(:position AS bigint)
                AND postings.position > (SELECT coalesce(max(position), 0) FROM closed)
            GROUP BY currency, source, target
        ), lines (currency, account, debits, credits) AS (
            SELECT currency, account, debits, credits FROM closed
            UNION ALL SELECT currency, target, amount, 0 FROM moved
            UNION ALL SELECT currency, source, 0, amount FROM moved
            UNION ALL SELECT currency, account, 0, 0
            FROM (SELECT DISTINCT currency FROM moved) AS each CROSS JOIN (VALUES {_NAMES}) AS named (account)
        )
        INSERT INTO book_closing (currency, account, position, debits, credits)
        SELECT currency, account, CAST(:position AS bigint), sum(debits), sum(credits)
        FROM lines GROUP BY currency, account ORDER BY currency, account
        ON CONFLICT (currency, account) DO UPDATE
            SET position = excluded.position, debits = excluded.debits, credits = excluded.credits
            WHERE book_closing.position <= excluded.position
        """  # noqa: S608 # nosec B608 # names of accounts
    )
)
_REOPEN = prepare(text("DELETE FROM book_closing"))
_IS_CLOSED = prepare(text("SELECT EXISTS (SELECT FROM book_closing)"))
# A posting gets its position when its transaction has an id already: it has locked the payment, or inserted it. The id
# of this transaction is assigned after the snapshot was taken, so it is higher than those of all transactions that have
# got a position up to the last one. The snapshot's upper limit is not: it is one past the highest id that has ended.
_LAST = prepare(
    text(
        """
        SELECT (SELECT max(position) FROM postings) AS position,
            CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) AS oldest_running,
            CAST(CAST(pg_current_xact_id() AS text) AS bigint) AS next_transaction
        """
    )
)


@dataclass(frozen=True, slots=True)
class LastPosting:
    """At one instant: the last committed posting, the oldest transaction that is running, and the id of the next one.

    Positions are assigned before the commit. A running transaction may therefore still commit a posting with a lower
    position.
    """

    position: int | None
    oldest_running: int
    next_transaction: int

    def has_all_up_to(self, before: "LastPosting") -> bool:
        """Whether all postings up to the earlier `before.position` are committed by now, or never will be."""
        return self.oldest_running >= before.next_transaction


async def accounts_since_closing(connection: Connection) -> Sequence[Record] | None:
    """As `trial_balance.accounts` of the whole book, from the closing on; None where the book is not closed."""
    if not await _IS_CLOSED.fetch_value(connection):
        return None
    return await _ACCOUNTS.fetch_all(connection)


async def last_posting(connection: Connection) -> LastPosting:
    (row,) = await _LAST.fetch_all(connection)
    return LastPosting(**dict(row))


async def close(connection: Connection, position: int, *, anew: bool) -> None:
    """All postings up to `position` are committed, and agree with the balances. `anew` reads all of them, instead of
    those since the last closing; in a transaction."""
    await _CLOSE.fetch_all_within(connection, LONGEST_READING_SECONDS, position=position, anew=anew)


async def reopen(connection: Connection) -> None:
    """The trial balance reads the whole book, until it is closed again."""
    await _REOPEN.execute(connection)
