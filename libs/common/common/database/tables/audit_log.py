"""The Merkle log over the heads of all audit chains, and its checkpoints (ADR 33). The sealer writes these tables."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from common.database.tables.columns import APPEND_ONLY, infrastructure, instant

# A leaf seals the head that a chain had at that time, and by the chain's hashes all rows before it.
audit_leaves = sa.Table(
    "audit_leaves",
    infrastructure,
    # Counts from 0 without gaps.
    sa.Column("index", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("entity_type", sa.Text, nullable=False),
    sa.Column("entity_id", sa.Uuid, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    # That of the audit row.
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("entity_type", "entity_id", "position"),
    info=APPEND_ONLY,
)

# Roots of complete subtrees of 256, 65,536, … leaves, so that a proof reads few rows.
audit_nodes = sa.Table(
    "audit_nodes",
    infrastructure,
    sa.Column("level", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("index", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    info=APPEND_ONLY,
)

audit_checkpoints = sa.Table(
    "audit_checkpoints",
    infrastructure,
    sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
    # A checkpoint of https://c2sp.org/tlog-checkpoint: the log's name, its size, its root, the time, the signature.
    sa.Column("note", sa.Text, nullable=False),
    instant("created_at", nullable=False),
    info=APPEND_ONLY,
)

# One row: how far the sealer is.
audit_log = sa.Table(
    "audit_log",
    infrastructure,
    sa.Column("id", sa.Uuid, primary_key=True, server_default=sa.text("gen_random_uuid()")),
    sa.Column("size", sa.BigInteger, server_default=sa.text("0"), nullable=False),
    # The roots of the complete subtrees that the log consists of, the largest first, 32 bytes each.
    sa.Column("frontier", sa.LargeBinary, server_default=sa.text("''"), nullable=False),
    # The last sealed audit row, in the order of `transaction_id` and `id`.
    sa.Column("transaction_id", sa.BigInteger, server_default=sa.text("'-1'::integer"), nullable=False),
    sa.Column("audit_id", sa.Uuid, server_default=sa.text("'00000000-0000-0000-0000-000000000000'"), nullable=False),
    # Set while all rows are read again, because the database was restored in another cluster: where to continue then.
    sa.Column("continue_from", sa.BigInteger),
    # The size of the last checkpoint that is stored outside the database.
    sa.Column("stored_size", sa.BigInteger, server_default=sa.text("0"), nullable=False),
)

# Runs of the verification. One that an operator requested is not started yet.
audit_verifications = sa.Table(
    "audit_verifications",
    infrastructure,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    instant("requested_at", server_default=sa.text("now()"), nullable=False),
    instant("started_at"),
    instant("finished_at"),
    # What `verify-audit` prints.
    sa.Column("result", JSONB(none_as_null=True)),
)
