"""Classify the poison records that are stored already, while the service works.

Outside a transaction: a run that was interrupted is repeated from the beginning.
"""

from alembic import op
from common.text.causes import cause_of
from sqlalchemy import text

revision = "0021_poison_cause_online"
down_revision = "0020_poison_cause"
branch_labels = None
depends_on = None

_ROWS_AT_ONCE = 500
_UNCLASSIFIED = text(
    "SELECT id, error FROM poison WHERE cause = '' AND id > CAST(:after AS UUID) ORDER BY id LIMIT :most"
)
_CLASSIFY = text("UPDATE poison SET cause = :cause WHERE id = :id")


def upgrade() -> None:
    connection, after = op.get_bind(), "00000000-0000-0000-0000-000000000000"
    while rows := connection.execute(_UNCLASSIFIED, {"after": after, "most": _ROWS_AT_ONCE}).all():
        for poison_id, error in rows:
            connection.execute(_CLASSIFY, {"id": poison_id, "cause": cause_of(error)})
        after = str(rows[-1][0])
