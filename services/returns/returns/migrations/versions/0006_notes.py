"""Internal notes of staff; the application can write them, but neither change nor delete them.

The previous version of the service continues to work: it does not know the table.
"""

from alembic import op

revision = "0006_notes"
down_revision = "0004_search_online"

STATEMENTS = (
    """
    CREATE TABLE return_notes (
        id UUID NOT NULL,
        entity_id UUID NOT NULL,
        text TEXT NOT NULL,
        actor_id UUID,
        actor_name TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_return_notes PRIMARY KEY (id),
        CONSTRAINT fk_return_notes_entity_id FOREIGN KEY(entity_id) REFERENCES returns (id)
    )
    """,
    "CREATE INDEX ix_return_notes_newest ON return_notes (entity_id, created_at DESC, id DESC)",
    """
    CREATE TRIGGER return_notes_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON return_notes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_unless_erasing()
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
