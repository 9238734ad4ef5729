"""A fake of the command line of a service or of the sandbox, as the supervisor calls it.

It appends every call to the file in CALLS; FAILING, BACKGROUND and STUBBORN name services that misbehave.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType
from typing import Any


def main(name: str) -> None:
    with Path(os.environ["CALLS"]).open("a") as calls:
        calls.write(json.dumps({"arguments": [name, *sys.argv[1:]], "environment": dict(os.environ)}) + "\n")
    if name == os.environ.get("FAILING"):
        sys.exit(f"{name} cannot work like this")
    if sys.argv[1] in ("migrate", "api-keys"):
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", "--http-port", type=int, default=os.environ.get("HTTP_PORT"))
    serve(parser.parse_known_args()[0].port, name)


def serve(port: int, name: str) -> None:
    if name == os.environ.get("BACKGROUND"):
        subprocess.Popen(["/bin/sleep", "600"])
    signal.signal(signal.SIGTERM, signal.SIG_IGN if name == os.environ.get("STUBBORN") else exit_process)
    ThreadingHTTPServer(("127.0.0.1", port), Ready).serve_forever()


def exit_process(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


class Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path in ("/livez", "/readyz") else 404)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass
