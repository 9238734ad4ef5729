"""The limit of rendering documents (d): one process that has the snapshots in memory and renders one by one.

    python -m benchmarks.bare_rendering <file of snapshots>

Prints a `Measurement` as JSON; `digests` are those of the documents, in the order of the snapshots.
"""

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import TypedDict

import msgspec
from invoicing.domain.snapshot import Snapshot
from invoicing.invoice_pdf.document import render


class Measurement(TypedDict):
    seconds: float
    processor_seconds: float
    digests: list[str]


def main(file: str) -> None:
    snapshots = msgspec.json.decode(Path(file).read_bytes(), type=list[Snapshot])
    render(snapshots[0])  # warm-up
    start, processor = time.perf_counter(), time.process_time()
    documents = [render(snapshot) for snapshot in snapshots]
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    digests = [hashlib.sha256(document).hexdigest() for document in documents]
    print(json.dumps(Measurement(seconds=seconds, processor_seconds=processor, digests=digests)))


if __name__ == "__main__":
    main(sys.argv[1])
