"""Verify an export of the audit trail against checkpoints that were kept elsewhere. Standard library only.

    python verify_audit.py export.ndjson --key PUBLIC_KEY --checkpoints FOLDER_OR_FILE …

Prints a line per problem, `kind: where`, and exits with 1 if there is any. The memory grows with the checkpoints only.
"""

import argparse
import hashlib
import json
import sqlite3
import sys
from base64 import b64decode
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import reduce
from itertools import groupby
from pathlib import Path
from typing import Any

MUST_BE_SEALED_AFTER, NEVER, SALT_SIZE = timedelta(hours=1), datetime.fromisoformat("0001-02-01T00:00:00Z"), 16
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, ROOT_OF_MINUS_1, BASE = -121665 * pow(121666, -1, P) % P, pow(2, (P - 1) // 4, P), b"\x58" + b"\x66" * 31
Item, Point = dict[str, Any], tuple[int, int, int, int]
encode = json.JSONEncoder(separators=(",", ":")).encode
HASHED = "id entity_type entity_id position previous_state new_state outcome actor_id actor_type trigger".split()


def add(a: Point, b: Point) -> Point:  # Ed25519 (RFC 8032, 5.1.4), in extended coordinates
    m, n = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    c, d = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = n - m, d - c, d + c, n + m
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(factor: int, point: Point) -> Point:
    half = times(factor >> 1, point) if factor else (0, 1, 1, 0)
    return add(add(half, half), point) if factor & 1 else add(half, half)


def decompressed(data: bytes) -> Point:
    y, sign = int.from_bytes(data, "little") & ((1 << 255) - 1), data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * ROOT_OF_MINUS_1 % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        raise ValueError("not a point of the curve")
    x = x if x & 1 == sign else P - x
    return x, y, 1, x * y % P


def is_signature(key: bytes, message: bytes, signature: bytes) -> bool:
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    a, s = add(decompressed(signature[:32]), times(h, decompressed(key))), int.from_bytes(signature[32:], "little")
    b = times(s, decompressed(BASE))
    return s < L and (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


class Note:  # a checkpoint: the log's name, size, root and time, and the signatures
    def __init__(self, text: str) -> None:
        self.body, _, self.signatures = text.partition("\n\n")
        self.log, size, root, time = self.body.split("\n")
        self.size, self.root, self.time = int(size), b64decode(root), datetime.fromisoformat(time)

    def is_signed(self, key: bytes) -> bool:
        key_id, message = sha256(self.log.encode(), b"\n\1", key)[:4], f"{self.body}\n".encode()
        found = [b64decode(line.rpartition(" ")[2]) for line in self.signatures.splitlines()]
        return any(len(each) == 68 and each[:4] == key_id and is_signature(key, message, each[4:]) for each in found)


def is_intact(row: Item) -> bool:
    values = [*(row[name] for name in HASHED), datetime.fromisoformat(row["created_at"]).timestamp()]
    hashed = sha256(bytes.fromhex(row["previous_hash"]), encode([*values, row["details_digest"]]).encode()).hex()
    salt, texts = bytes.fromhex(row.get("salt") or ""), (row.get("details"), row.get("ip_address"))
    digest = sha256(salt, b"\0".join((each or "").encode() for each in texts)).hex()
    is_absent = not salt and texts == (None, None)  # the details were erased, or are not in the export
    return hashed == row["hash"] and (is_absent or (len(salt) == SALT_SIZE and digest == row["details_digest"]))


def chain_problems(rows: Iterable[Item], entity: str, sealed: dict[int, str], latest: datetime) -> Iterator[str]:
    position, head, last, unsealed = 0, bytes(32).hex(), max(sealed, default=0), 0
    for row in rows:  # of one entity; `sealed` has the hashes of its sealed heads by their positions
        if row["position"] != position + 1:
            yield f"missing: {entity}, position {position + 1} to {row['position'] - 1}"
        elif row["previous_hash"] != head:
            yield f"unlinked: {entity}, position {row['position']}"
        position, head = row["position"], row["hash"]
        if not is_intact(row):
            yield f"edited: {entity}, position {position}"
        elif sealed.get(position, head) != head:
            yield f"recalculated: {entity}, position {position}"
        if position > last and datetime.fromisoformat(row["created_at"]) < latest - MUST_BE_SEALED_AFTER:
            unsealed = unsealed or position
    if last > position:
        yield f"cut: {entity}, position {position + 1} to {last}"
    if unsealed:
        yield f"unsealed: {entity}, from position {unsealed}"


def verify(lines: Iterable[str], notes: list[Note], key: bytes | None = None) -> Iterator[str]:
    head = next(items := map(json.loads, lines))
    log, found = head["log"], [*notes, *map(Note, head["checkpoints"])]
    others = {each.log for each in found if each.log.rpartition("/")[0] == log.rpartition("/")[0]} - {log}
    yield from (f"rewritten: the log is {log}, and there is a checkpoint of {other}" for other in sorted(others))
    notes = sorted((each for each in found if each.log == log), key=lambda each: each.size)
    yield from (f"signature: the checkpoint of {each.size} leaves" for each in notes if key and not each.is_signed(key))
    latest = max((each.time for each in notes), default=NEVER)
    leaves = sqlite3.connect("")  # a temporary file
    leaves.execute("CREATE TABLE leaf (entity, position, hash, PRIMARY KEY (entity, position)) WITHOUT ROWID")
    roots, size, verified, kind = list[bytes](), 0, 0, ""  # the roots are of the complete subtrees (RFC 9162, 2.1)
    of_size = {size: list(same) for size, same in groupby(notes, lambda each: each.size)}
    named = ((item["kind"], f"{item.get('entity_type')} {item.get('entity_id')}", item) for item in items)
    for (kind, entity), members in groupby(named, lambda each: each[:2]):
        for *_, leaf in members if kind == "leaf" else ():
            node, index = sha256(b"\0", encode([leaf[name] for name in (*HASHED[1:4], "hash")]).encode()), size
            while index & 1:
                node, index = sha256(b"\1", roots.pop(), node), index >> 1
            roots, size = [*roots, node], size + 1
            leaves.execute("INSERT OR IGNORE INTO leaf VALUES (?, ?, ?)", (entity, leaf["position"], leaf["hash"]))
            for note in of_size.get(size, ()):
                if reduce(lambda right, left: sha256(b"\1", left, right), reversed(roots)) != note.root:
                    yield f"rewritten: the leaves from {verified} to {size - 1} are not those of {note.time}"
                verified = size
        if kind == "row":
            sealed = dict(leaves.execute("DELETE FROM leaf WHERE entity = ? RETURNING position, hash", [entity]))
            yield from chain_problems((row for *_, row in members), entity, sealed, latest)
    yield from (f"rewritten: the log ends before leaf {each.size} of {each.time}" for each in notes if each.size > size)
    for entity, last in leaves.execute("SELECT entity, max(position) FROM leaf GROUP BY entity"):
        yield f"vanished: {entity}, position 1 to {last}"
    if not notes or kind != "end":
        yield "export: it is incomplete" if notes else f"export: there is no checkpoint of {log}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", type=Path)
    parser.add_argument("--key", type=b64decode)
    parser.add_argument("--checkpoints", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    files = [file for each in options.checkpoints for file in (each.rglob("*.txt") if each.is_dir() else [each])]
    try:
        with options.export.open(encoding="utf-8") as export:
            problems = verify(export, [Note(each.read_text("utf-8")) for each in files], options.key)
            sys.exit(sum(print(each) is None for each in problems) > 0)
    except (ValueError, LookupError, TypeError, OSError, RuntimeError) as error:
        sys.exit(f"export: it cannot be read: {error!r}")
