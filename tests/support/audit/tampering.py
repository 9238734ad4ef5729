"""The five kinds of tampering with an audit trail, by someone who may change everything in the database."""

import random
from collections.abc import Callable, Mapping
from datetime import timedelta
from uuid import UUID, uuid4

from common.audit.chain import GENESIS, digest_of, hash_of
from common.audit.checkpoint import SigningKey
from support.audit.ledger import DETAILS, Ledger, Row, leaf_of


def edit(ledger: Ledger, chance: random.Random) -> UUID:
    """Change a value of a row, or pass off a forged text as one that was erased or as a part of its salt."""
    row = chance.choice(ledger.rows)
    chance.choice([change, change, forge_the_text])(row, chance)
    entity_id: UUID = row["entity_id"]
    return entity_id


def delete_from_the_middle(ledger: Ledger, chance: random.Random) -> UUID:
    """Remove rows that have a row after them in their chain, and sometimes count the others anew."""
    chain = chance.choice([chain for chain in chains(ledger) if len(chain) > 1])
    first = chance.randrange(len(chain) - 1)
    removed = chain[first : chance.randint(first + 1, len(chain) - 1)]
    remove(ledger, removed)
    if chance.random() < 0.5:
        for row in chain[first + len(removed) :]:
            row["position"] -= len(removed)
    entity_id: UUID = chain[0]["entity_id"]
    return entity_id


def cut_the_tail(ledger: Ledger, chance: random.Random) -> UUID:
    """Remove the last rows of a chain, but not all."""
    chain = chance.choice([chain for chain in chains(ledger) if len(chain) > 1])
    remove(ledger, chain[chance.randint(1, len(chain) - 1) :])
    entity_id: UUID = chain[0]["entity_id"]
    return entity_id


def let_vanish(ledger: Ledger, chance: random.Random) -> UUID:
    """Remove all rows of an entity."""
    chain = chance.choice(chains(ledger))
    remove(ledger, chain)
    entity_id: UUID = chain[0]["entity_id"]
    return entity_id


def recalculate(ledger: Ledger, chance: random.Random) -> UUID:
    """Change a row, or remove one, and make the chain anew from there."""
    chain = chance.choice(chains(ledger))
    place = chance.randrange(len(chain))
    if len(chain) > 1 and chance.random() < 0.3:
        remove(ledger, [chain.pop(place)])
    else:
        change(chain[place], chance)
    link_anew(chain)
    entity_id: UUID = chain[0]["entity_id"]
    return entity_id


KINDS: Mapping[str, Callable[[Ledger, random.Random], UUID]] = {
    "edited": edit,
    "deleted": delete_from_the_middle,
    "cut": cut_the_tail,
    "vanished": let_vanish,
    "recalculated": recalculate,
}
# What the verifier may call each kind where the log was not rewritten: a missing row may be the sealed one, and rows
# that are counted anew differ from their hashes.
NAMES: Mapping[str, set[str]] = {
    "edited": {"edited"},
    "deleted": {"missing", "unlinked", "edited", "cut"},
    "cut": {"cut"},
    "vanished": {"vanished"},
    "recalculated": {"recalculated", "cut"},
}


def rewrite_the_log(ledger: Ledger, chance: random.Random) -> None:
    """Make the leaves fit the rows, and the database's checkpoint fit the leaves: without a signature, or with that of
    another key. The checkpoints elsewhere stay."""
    rows = {(row["entity_id"], row["position"]): row for row in ledger.rows}
    places = [(leaf["entity_id"], leaf["position"]) for leaf in ledger.leaves]
    ledger.leaves = [leaf_of(rows[place]) for place in places if place in rows]
    ledger.note = ledger.checkpoint(chance.choice([None, SigningKey(chance.choice(_OTHER_KEYS))]))


def rename_the_log(ledger: Ledger, chance: random.Random, key: SigningKey) -> None:
    """Empty the log, give it another id, and let the sealer, which knows nothing of it, seal the rows and keep the
    checkpoint. The checkpoints of the old log stay elsewhere."""
    service, _, _ = ledger.log.rpartition("/")
    ledger.log, ledger.leaves = f"{service}/{UUID(int=chance.getrandbits(128))}", []
    ledger.seal(key)


_OTHER_KEYS = ["AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="]


def chains(ledger: Ledger) -> list[list[Row]]:
    return [ledger.of_entity(entity_id) for entity_id in dict.fromkeys(row["entity_id"] for row in ledger.rows)]


def remove(ledger: Ledger, rows: list[Row]) -> None:
    ids = {row["id"] for row in rows}
    ledger.rows = [row for row in ledger.rows if row["id"] not in ids]


def change(row: Row, chance: random.Random) -> None:
    """One value; also a text with its digest, where it was not erased."""
    name = chance.choice(["new_state", "outcome", "actor_id", "actor_type", "trigger", "created_at", "id", "details"])
    if name == "details" and row["salt"] is not None:
        row["details"] = '{"note": "forged"}'
    elif name == "created_at":
        row["created_at"] += timedelta(microseconds=chance.randint(1, 10**12))
    else:
        row["id"] = uuid4() if name == "id" else row["id"]
        row["new_state" if name in ("id", "details") else name] = f"forged {chance.random()}"


def forge_the_text(row: Row, chance: random.Random) -> None:
    """A text that is not the one of the digest, which stays."""
    if row["salt"] is None or chance.random() < 0.5:
        row.update(salt=None, details='{"note": "forged"}', ip_address="203.0.113.9")
    else:
        length = chance.randint(1, len(row["details"]))
        row["salt"] += row["details"][:length].encode()
        row["details"] = row["details"][length:]


def link_anew(chain: list[Row]) -> None:
    head = GENESIS
    for position, row in enumerate(chain, 1):
        row.update(position=position, previous_hash=head)
        if row["salt"] is not None:
            row["details_digest"] = digest_of(*(row[name] for name in DETAILS))
        head = row["hash"] = hash_of(row)
