"""A stack of the demo's own: started, waited for, and stopped again."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local_stack.stack_json import NotRunningError, StackDescription, running_stack

START_SECONDS = 240
STOP_SECONDS = 30


@contextmanager
def fresh_stack(folder: Path, **settings: str) -> Iterator[StackDescription]:
    """A stack that starts with no data, runs while the block runs, and leaves its documents and mails to look at.
    `settings` are environment variables."""
    shutil.rmtree(folder, ignore_errors=True)
    with running(folder, **settings) as stack:
        yield stack


@contextmanager
def running(folder: Path, **settings: str) -> Iterator[StackDescription]:
    """A stack on the data of an earlier one, while the block runs."""
    # The demo asks every few milliseconds whether something has happened; a customer would not.
    environment = {"RATE_LIMIT_PER_MINUTE": "0"} | os.environ | settings | {"STACK_DIR": str(folder)}
    supervisor = subprocess.Popen([sys.executable, "-m", "local_stack", "up"], env=environment)
    try:
        yield _ready(supervisor, folder)
    finally:
        supervisor.send_signal(signal.SIGTERM)
        supervisor.wait(STOP_SECONDS)


def _ready(supervisor: "subprocess.Popen[bytes]", folder: Path) -> StackDescription:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return running_stack(folder)
        except NotRunningError:
            if supervisor.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
