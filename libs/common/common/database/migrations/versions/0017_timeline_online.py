"""Find the poison records and open discrepancies of a key, while the service writes (ADR 42).

By hash, as a key may be longer than an entry of a sorted index. Outside a transaction: a run that was interrupted is
repeated from the beginning.
"""

from alembic import op

revision = "0017_timeline_online"
down_revision = "0016_job_control_online"
branch_labels = None
depends_on = None

STATEMENTS = (
    "DROP INDEX CONCURRENTLY IF EXISTS ix_poison_key",
    "CREATE INDEX CONCURRENTLY ix_poison_key ON poison USING hash (key)",
    "DROP INDEX CONCURRENTLY IF EXISTS ix_discrepancies_open_key",
    "CREATE INDEX CONCURRENTLY ix_discrepancies_open_key ON discrepancies USING hash (key) WHERE resolved_at IS NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
