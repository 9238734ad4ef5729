"""Store the person who uses an API key.

The previous version ignores the column: to it, a key with a subject is an actor of its own. No row is rewritten.
"""

from alembic import op

revision = "0018_api_key_subject"
down_revision = "0017_timeline_online"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE api_keys ADD COLUMN subject TEXT")
