"""Index failed and discarded work while the service writes, and classify the failures that are stored already.

Outside a transaction: a run that was interrupted is repeated from the beginning.
"""

from alembic import op
from common.text.causes import cause_of
from sqlalchemy import text

revision = "0016_job_control_online"
down_revision = "0015_job_control"
branch_labels = None
depends_on = None

_ROWS_AT_ONCE = 500
_UNCLASSIFIED = text(
    "SELECT id, last_error FROM jobs WHERE last_error IS NOT NULL AND cause = '' AND state IN ('ready', 'dead') "
    "AND id > CAST(:after AS UUID) ORDER BY id LIMIT :most"
)
# Of a job that was changed meanwhile, the error may be another one.
_CLASSIFY = text(
    "UPDATE jobs SET cause = :cause, failed_at = coalesce(finished_at, created_at) "
    "WHERE id = :id AND last_error = :error AND cause = ''"
)
STATEMENTS = (
    "ALTER TABLE jobs VALIDATE CONSTRAINT ck_jobs_state",
    "ALTER TABLE poison VALIDATE CONSTRAINT ck_poison_state",
    "DROP INDEX CONCURRENTLY IF EXISTS ix_jobs_failed",
    "CREATE INDEX CONCURRENTLY ix_jobs_failed ON jobs (kind, cause, failed_at) INCLUDE (state, id) "
    "WHERE last_error IS NOT NULL AND state IN ('ready', 'running', 'dead')",
    "DROP INDEX CONCURRENTLY IF EXISTS ix_jobs_discarded",
    "CREATE INDEX CONCURRENTLY ix_jobs_discarded ON jobs (finished_at) WHERE state = 'discarded'",
    "DROP INDEX CONCURRENTLY IF EXISTS ix_poison_discarded",
    "CREATE INDEX CONCURRENTLY ix_poison_discarded ON poison (discarded_at) WHERE state = 'discarded'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    _classify_stored_failures()


def _classify_stored_failures() -> None:
    connection, after = op.get_bind(), "00000000-0000-0000-0000-000000000000"
    while rows := connection.execute(_UNCLASSIFIED, {"after": after, "most": _ROWS_AT_ONCE}).all():
        for job_id, error in rows:
            connection.execute(_CLASSIFY, {"id": job_id, "error": error, "cause": cause_of(error)})
        after = str(rows[-1][0])
