"""Store when an API key was last used, and a rate limit of its own.

The previous version ignores both columns. No row is rewritten.
"""

from alembic import op

revision = "0011_api_key_limits"
down_revision = "0010_work_done_once"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE api_keys
            ADD COLUMN last_used_at TIMESTAMP WITH TIME ZONE,
            ADD COLUMN rate_limit INTEGER,
            ADD CONSTRAINT ck_api_keys_rate_limit CHECK (rate_limit >= 0)
        """
    )
