"""Internal notes of staff on aggregates. Clients never see them: not as notes, not in a history, not in an event.

A note is an entity of its own in the audit trail, `<ENTITY>_NOTE`, and no change of its aggregate, whose history and
version clients read.
"""

from uuid import UUID

import sqlalchemy as sa

from common.audit.actor import Actor
from common.audit.chain import ChainHead
from common.audit.entries import AuditEntry, entry_parameters, insert_entry
from common.database.paging import PagedQuery
from common.database.statements import Connection, Record, prepare, prepare_together
from common.database.tables import APPEND_ONLY, instant
from common.paging import Page, Paging

_WRITTEN = "WRITTEN"


class Notes:
    """The table `<entity>_notes` and the statements on it. `aggregates` is the table of what the notes are about.

    Notes are written once. Only the owner of the database can delete one, to erase personal data, as for the details of
    audit rows.
    """

    def __init__(self, entity: str, aggregates: str, metadata: sa.MetaData) -> None:
        self._entity_type = f"{entity.upper()}_NOTE"
        self.table = sa.Table(
            f"{entity}_notes",
            metadata,
            sa.Column("id", sa.Uuid, primary_key=True),
            sa.Column("entity_id", sa.Uuid, sa.ForeignKey(f"{aggregates}.id"), nullable=False),
            sa.Column("text", sa.Text, nullable=False),
            sa.Column("actor_id", sa.Uuid),
            sa.Column("actor_name", sa.Text, nullable=False),
            instant("created_at", nullable=False),
            sa.Index(f"ix_{entity}_notes_newest", "entity_id", sa.text("created_at DESC"), sa.text("id DESC")),
            info=APPEND_ONLY,
        )
        columns = self.table.c
        note = sa.insert(self.table).values({name: sa.bindparam(f"note_{name}") for name in columns.keys()})  # noqa: SIM118
        self._add = prepare_together(*insert_entry(), note)
        of_entity = columns.entity_id == sa.bindparam("entity_id", type_=sa.Uuid)
        page = (
            sa.select(*columns)
            .where(of_entity)
            .order_by(columns.created_at.desc(), columns.id.desc())
            .limit(sa.bindparam("limit", type_=sa.Integer))
            .offset(sa.bindparam("offset", type_=sa.BigInteger))
            .subquery("page")
        )
        total = sa.select(sa.func.count()).select_from(self.table).where(of_entity).scalar_subquery()
        newest_first = (page.c.created_at.desc(), page.c.id.desc())
        self._page: PagedQuery[Record] = PagedQuery(page, total, *newest_first, load=lambda row: row)

    async def add(self, connection: Connection, entity_id: UUID, actor: Actor, text: str) -> dict[str, object]:
        """A new note with its audit row; the columns of the table."""
        [(note_id, now)] = await _MOMENT.fetch_all(connection)
        note = {
            "id": note_id,
            "entity_id": entity_id,
            "text": text,
            "actor_id": actor.id,
            "actor_name": actor.name,
            "created_at": now,
        }
        details = {"entity_id": entity_id, "text": text}
        entry = AuditEntry(self._entity_type, note_id, None, _WRITTEN, "ACCEPTED", actor, now, details)
        parameters = {f"note_{name}": value for name, value in note.items()}
        await self._add.execute(connection, **entry_parameters(entry, ChainHead()), **parameters)
        return note

    async def find_page(self, connection: Connection, entity_id: UUID, paging: Paging) -> Page[Record]:
        """Newest first."""
        return await self._page.fetch(connection, paging, entity_id=entity_id)


_MOMENT = prepare(sa.select(sa.func.uuidv7(), sa.func.clock_timestamp()))
