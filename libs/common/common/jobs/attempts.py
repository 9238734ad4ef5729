"""Read the attempts of jobs, as they are shown to staff."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime

import sqlalchemy as sa

from common.database.statements import Connection, prepare
from common.database.tables import job_attempts, jobs

# A schedule allows a few attempts; only a job that was replayed again and again has more than are shown.
ATTEMPTS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a job; `outcome` and `finished_at` are None while it runs."""

    number: int
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    error: str | None


_NAMES = tuple(field.name for field in fields(Attempt))
_latest = (
    sa.select(*(job_attempts.c[name] for name in _NAMES))
    .where(job_attempts.c.job_id == jobs.c.id)
    .order_by(job_attempts.c.number.desc())
    .limit(sa.literal_column(str(ATTEMPTS_SHOWN)))
    .lateral("latest")
)
_ATTEMPTS = prepare(
    sa.select(jobs.c.business_key, *_latest.c)
    .select_from(jobs.join(_latest, sa.true()))
    .where(
        jobs.c.kind == sa.bindparam("kind"),
        jobs.c.business_key == sa.any_(sa.bindparam("keys", type_=sa.ARRAY(sa.Text))),
    )
    .order_by(_latest.c.number)
)


async def attempts_of(connection: Connection, kind: str, business_keys: Iterable[str]) -> dict[str, list[Attempt]]:
    """By business key, the latest `ATTEMPTS_SHOWN` attempts of each job, oldest first; of a purged job none."""
    attempts: dict[str, list[Attempt]] = {key: [] for key in business_keys}
    for row in await _ATTEMPTS.fetch_all(connection, kind=kind, keys=list(attempts)):
        attempts[row["business_key"]].append(Attempt(*(row[name] for name in _NAMES)))
    return attempts
