"""Compute the causes again that end in a blank or contain a control character: a request could not name them (ADR 44).

Outside a transaction: a run that was interrupted is repeated from the beginning.
"""

from alembic import op
from common.text.causes import cause_of
from sqlalchemy import text

revision = "0024_visible_causes_online"
down_revision = "0023_job_lists_online"
branch_labels = None
depends_on = None

_ROWS_AT_ONCE = 500
_FAILED = text(
    "SELECT id, last_error, cause FROM jobs WHERE last_error IS NOT NULL AND cause <> '' AND state <> 'done' "
    "AND id > CAST(:after AS UUID) ORDER BY id LIMIT :most"
)
# Of a job that was changed meanwhile, the error may be another one.
_CLASSIFY = text("UPDATE jobs SET cause = :cause WHERE id = :id AND last_error = :error")


def upgrade() -> None:
    connection, after = op.get_bind(), "00000000-0000-0000-0000-000000000000"
    while rows := connection.execute(_FAILED, {"after": after, "most": _ROWS_AT_ONCE}).all():
        for job_id, error, cause in rows:
            if cause_of(error) != cause:
                connection.execute(_CLASSIFY, {"id": job_id, "error": error, "cause": cause_of(error)})
        after = str(rows[-1][0])
