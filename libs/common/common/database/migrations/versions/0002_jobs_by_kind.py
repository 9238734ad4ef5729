"""Index due jobs by kind, so that a kind with many waiting jobs does not slow down the others."""

from alembic import op

revision = "0002_jobs_by_kind"
down_revision = "0001_infrastructure"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP INDEX ix_jobs_ready")
    op.execute("CREATE INDEX ix_jobs_ready ON jobs (kind, due_at) WHERE state = 'ready'")
