"""Create the table of the rate limit that all processes of a service share (ADR 32).

Unlogged: it is written often, and its loss in a crash of the server only forgets the last minute.
"""

from alembic import op

revision = "0013_rate_limit_leases"
down_revision = "0012_audit_log"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE UNLOGGED TABLE rate_limit_leases (
            client TEXT NOT NULL,
            ends TIMESTAMP WITH TIME ZONE[] NOT NULL,
            counts INTEGER[] NOT NULL,
            granted INTEGER NOT NULL,
            expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
            CONSTRAINT pk_rate_limit_leases PRIMARY KEY (client)
        )
        """
    )
