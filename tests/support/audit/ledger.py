"""An audit trail in memory, with the hashes, the log and the export of the service, for trials of the verifier."""

import random
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from common.audit.actor import Actor
from common.audit.chain import ChainHead
from common.audit.checkpoint import Checkpoint, SigningKey, unsigned
from common.audit.entries import COLUMNS, AuditEntry, entry_parameters
from common.audit.export import END, head_item, leaf_item, row_item
from common.audit.merkle import Frontier, leaf_hash
from support.events.traceparent import TRACEPARENT

LOG = "articurated/workshop/0192f3a4-0000-7000-8000-000000000001"
DETAILS = ("salt", "details", "ip_address")

Row = dict[str, Any]


def place_of(row: Row) -> tuple[str, int, int]:
    """The order of the export."""
    return row["entity_type"], row["entity_id"].int, row["position"]


@dataclass
class Ledger:
    """`kept` are the checkpoints that are stored elsewhere, `note` is the latest in the database."""

    now: datetime
    log: str = LOG
    rows: list[Row] = field(default_factory=list)
    leaves: list[Row] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    note: str | None = None

    def copy(self) -> "Ledger":
        return deepcopy(self)

    def of_entity(self, entity_id: UUID) -> list[Row]:
        return sorted((row for row in self.rows if row["entity_id"] == entity_id), key=place_of)

    def change(self, entity_id: UUID, state: str, details: dict[str, object]) -> None:
        """Append a row to the entity's chain, a second later than the last row."""
        chain = self.of_entity(entity_id)
        head = ChainHead(chain[-1]["position"], chain[-1]["hash"]) if chain else ChainHead()
        before = chain[-1]["new_state"] if chain else None
        self.now += timedelta(seconds=1)
        actor = Actor(UUID(int=7), "clerk", "USER", "API_CALL", TRACEPARENT, "192.0.2.7")
        entry = AuditEntry("VASE", entity_id, before, state, "ACCEPTED", actor, self.now, details)
        parameters: Row = dict(entry_parameters(entry, head))
        self.rows.append({name: parameters[f"audit_{name}"] for name in (*(each.name for each in COLUMNS), *DETAILS)})

    def seal(self, key: SigningKey | None) -> None:
        """A leaf for each chain that has grown, and a checkpoint, which is kept elsewhere too."""
        sealed = {(leaf["entity_id"], leaf["position"]) for leaf in self.leaves}
        for entity_id in dict.fromkeys(row["entity_id"] for row in self.rows):
            head = self.of_entity(entity_id)[-1]
            if (entity_id, head["position"]) not in sealed:
                self.leaves.append(leaf_of(head))
        self.kept.append(self.checkpoint(key))
        self.note = self.kept[-1]

    def checkpoint(self, key: SigningKey | None) -> str:
        """The note of a checkpoint of all leaves."""
        frontier = Frontier()
        for leaf in self.leaves:
            for _ in frontier.append(
                leaf_hash(*(leaf[name] for name in ("entity_type", "entity_id", "position", "hash")))
            ):
                pass
        checkpoint = Checkpoint(self.log, frontier.size, frontier.root, self.now)
        return unsigned(checkpoint) if key is None else key.sign(checkpoint)

    def export(self, *, with_details: bool = True) -> list[str]:
        notes = [] if self.note is None else [self.note]
        leaves = [leaf_item({"index": index, **leaf}) for index, leaf in enumerate(self.leaves)]
        rows = [row_item(row, with_details=with_details) for row in sorted(self.rows, key=place_of)]
        return [msgspec.json.encode(each).decode() for each in (head_item(self.log, None, notes), *leaves, *rows, END)]


def leaf_of(row: Row) -> Row:
    return {name: row[name] for name in ("entity_type", "entity_id", "position", "hash")}


def random_ledger(chance: random.Random, key: SigningKey, start: datetime) -> Ledger:
    """Some vases with some changes each, sealed now and then; some texts are erased."""
    ledger = Ledger(start)
    vases = [UUID(int=chance.getrandbits(128)) for _ in range(chance.randint(2, 7))]
    for _ in range(chance.randint(1, 3)):
        for vase in (vases[0], *chance.choices(vases, k=chance.randint(2, 12)), vases[0]):
            ledger.change(vase, chance.choice(["MADE", "GLAZED", "SOLD"]), {"note": f"{chance.random()}"})
        ledger.seal(key)
    for row in ledger.rows:
        if chance.random() < 0.2:
            row.update(dict.fromkeys(DETAILS))
    return ledger
