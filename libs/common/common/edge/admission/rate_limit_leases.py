"""The rate limit of all processes of a service together: each leases some requests of a caller's limit (ADR 32)."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import DateTime, Double, Integer, Text, bindparam, text

from common.database.statements import Connection, prepare
from common.edge.admission.rate_limit import WINDOW_SECONDS

# A leased request can be used for this time.
VALID_SECONDS = 2

# A lease counts until a minute after its last possible use, rounded up to a second, so that a row has few entries. So
# no minute has more requests than the limit. `returned` requests of the lease that counts until `returned_from` were
# not used.
_LEASE = prepare(
    text(
        """
        INSERT INTO rate_limit_leases AS stored (client, ends, counts, granted, expires_at)
        SELECT :client, ARRAY[slot], ARRAY[least(:wanted, :limit)], least(:wanted, :limit), slot
        FROM (
            SELECT date_trunc('second', clock_timestamp()) + make_interval(secs => :counted_seconds) AS slot
        )
        ON CONFLICT (client) DO UPDATE SET (ends, counts, granted, expires_at) = (
            WITH kept AS (
                SELECT lease.ends_at,
                    lease.number - CASE WHEN lease.ends_at = :returned_from THEN :returned ELSE 0 END AS number
                FROM unnest(stored.ends, stored.counts) AS lease (ends_at, number)
                WHERE lease.ends_at > clock_timestamp()
            ), new AS (
                SELECT excluded.expires_at AS ends_at,
                    greatest(least(:wanted, :limit - coalesce(sum(number), 0)), 0)::integer AS number
                FROM kept
            ), merged AS (
                SELECT ends_at, sum(number)::integer AS number
                FROM (SELECT * FROM kept UNION ALL SELECT * FROM new) AS parts
                GROUP BY ends_at HAVING sum(number) > 0
            )
            SELECT coalesce(array_agg(ends_at ORDER BY ends_at), '{}'),
                coalesce(array_agg(number ORDER BY ends_at), '{}'),
                (SELECT number FROM new),
                greatest(excluded.expires_at, max(ends_at))
            FROM merged
        )
        RETURNING granted, expires_at AS ends_at,
            (SELECT coalesce(sum(number), 0)::integer FROM unnest(counts) AS number) AS used,
            greatest(extract(epoch FROM ends[1] - clock_timestamp()), 0)::double precision AS reset
        """
    ).bindparams(
        bindparam("client", type_=Text),
        bindparam("counted_seconds", type_=Double),
        bindparam("wanted", type_=Integer),
        bindparam("limit", type_=Integer),
        bindparam("returned", type_=Integer),
        bindparam("returned_from", type_=DateTime(timezone=True)),
    )
)


@dataclass(slots=True)
class Lease:
    """Requests that this process may still admit, until `valid_until` by its own clock. `unleased` requests of the
    limit were free when it was made, and `reset` seconds later the oldest lease stops counting."""

    number: int
    left: int
    unleased: int
    reset: float
    ends_at: datetime
    valid_until: float


async def lease(connection: Connection, client: str, limit: int, wanted: int, now: float, old: Lease | None) -> Lease:
    """Lease at most `wanted` requests, and give back what is left of the old lease. `now` is the process's time, from
    before the call."""
    row = await _LEASE.fetch_one(
        connection,
        client=client,
        counted_seconds=float(VALID_SECONDS + WINDOW_SECONDS + 1),
        wanted=wanted,
        limit=limit,
        returned=0 if old is None else old.left,
        returned_from=None if old is None else old.ends_at,
    )
    assert row is not None  # noqa: S101 - the statement always changes one row
    number: int = row["granted"]
    return Lease(number, number, max(limit - row["used"], 0), row["reset"], row["ends_at"], now + VALID_SECONDS)
