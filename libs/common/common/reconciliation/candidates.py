"""Which rows a check looks at: those of the last days, and those that it has found before."""

from typing import Any

import sqlalchemy as sa

from common.database.tables import discrepancies

# A check does not read the history of a service in each round.
DAYS = 7


def recent_or_open(check: str, key: sa.Column[Any], changed_at: sa.Column[Any]) -> sa.Select[Any]:
    """The keys of the rows that were changed within `DAYS`, and of the check's open discrepancies, as a subselect.

    `key` is the record key (`Finding.key`), a UUID; `changed_at` has an index.
    """
    days_ago = sa.func.now() - sa.text(f"interval '{DAYS} days'")
    found = discrepancies.c
    recent = sa.select(key).where(changed_at > days_ago)
    still_open = sa.select(sa.cast(found.key, sa.Uuid)).where(
        found.check == sa.literal(check, literal_execute=True), found.resolved_at.is_(None), found.key.is_not(None)
    )
    return sa.select(sa.union(recent, still_open).subquery("candidates").c[0])
