"""The rendering process: reads snapshots from its input and writes PDFs to its output until the input ends."""

import signal
import sys
from typing import BinaryIO

import msgspec

from invoicing.domain.snapshot import Snapshot
from invoicing.invoice_pdf.document import render
from invoicing.invoice_pdf.frames import FAILED, RENDERED, read_frame, write_frame


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """One answer per request, in order; a snapshot that cannot be rendered is answered with the error."""
    decoder = msgspec.json.Decoder(Snapshot)
    while (request := read_frame(requests)) is not None:
        try:
            answer = RENDERED + render(decoder.decode(request))
        except Exception as error:
            answer = FAILED + f"{type(error).__name__}: {error}".encode()
        write_frame(answers, answer)


if __name__ == "__main__":
    # Ctrl-C reaches the whole group; this process ends when its parent closes its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(sys.stdin.buffer, sys.stdout.buffer)
