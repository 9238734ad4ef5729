"""Limit of making documents (d): a process that has the snapshots in memory and renders one after the other.

    python -m benchmarks.bare_rendering <file of snapshots>

Prints what it saw as JSON; `digests` are those of the documents, in the snapshots' order.
"""

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import TypedDict

import msgspec
from invoicing.domain import Snapshot
from invoicing.invoice_pdf.document import render


class Seen(TypedDict):
    seconds: float
    processor_seconds: float
    digests: list[str]


def main(file: str) -> None:
    snapshots = msgspec.json.decode(Path(file).read_bytes(), type=list[Snapshot])
    render(snapshots[0])  # whatever is done once only
    began, processor = time.perf_counter(), time.process_time()
    documents = [render(snapshot) for snapshot in snapshots]
    seconds, processor = time.perf_counter() - began, time.process_time() - processor
    digests = [hashlib.sha256(document).hexdigest() for document in documents]
    print(json.dumps(Seen(seconds=seconds, processor_seconds=processor, digests=digests)))


if __name__ == "__main__":
    main(sys.argv[1])
