"""The HTTP server compared with others, with a minimal application: the cost of its limits (docs/adr/0017).

    python -m benchmarks.http_servers [--rounds 7] [--seconds 3] [VARIANT...]

Variants alternate; the figures are medians of all rounds. Processor time is that of the server's process alone, which
varies least on a busy machine. The variants `granian` and `hypercorn` have to be installed; they are not dependencies.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CONNECTIONS = 16
REQUEST = "GET /{id} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\nX-API-Key: client_0.secret\r\n\r\n"
VARIANTS = ["ours", "httptools", "h11"]
OTHERS = {
    "granian": "--interface asgi --no-ws --log-level error --port {port}",
    "hypercorn": "--worker-class uvloop --error-logfile /dev/null --bind 127.0.0.1:{port}",
}
_TICKS = os.sysconf("SC_CLK_TCK")


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":  # the other servers have a lifespan
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        return
    await receive()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


def serve(variant: str, port: int) -> None:
    if variant == "ours":
        import uvloop
        from common.running.http_server import HttpServer
        from common.settings import ServiceSettings

        settings = ServiceSettings(database_url="postgresql://none", kafka_bootstrap="none", http_port=port)

        async def run() -> None:
            await HttpServer(app, settings).run(asyncio.Event())

        uvloop.run(run())
    elif variant in OTHERS:
        command = [
            sys.executable,
            "-m",
            variant,
            *OTHERS[variant].format(port=port).split(),
            "benchmarks.http_servers:app",
        ]
        os.execv(sys.executable, command)  # noqa: S606 - what is run is written above
    else:
        import uvicorn

        uvicorn.run(app, port=port, http=variant, ws="none", lifespan="off", log_config=None, access_log=False)


def measure(variant: str, seconds: float) -> tuple[float, float]:
    """Requests a second, and processor time of the server for a request in microseconds."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.http_servers", "serve", variant, str(port)], start_new_session=True
    )
    try:
        _wait_for(port)
        before = _processor_seconds(server.pid)
        load = Path(__file__).with_name("http_load.py")
        arguments = [str(port), str(CONNECTIONS), str(seconds), "1", "1000000", REQUEST]
        client = subprocess.run([sys.executable, load, *arguments], check=True, capture_output=True, text=True)
        result = json.loads(client.stdout)
        assert not result["failures"], result
        cpu_time = _processor_seconds(server.pid) - before
        return result["per_second"], cpu_time / result["requests"] * 1e6
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # some servers have workers
        server.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _processor_seconds(pid: int) -> float:
    """Processor time of the process and of its children: some servers have workers."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    own = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(own[11]) + int(own[12])) / _TICKS + sum(_processor_seconds(int(child)) for child in children)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("variants", nargs="*", default=VARIANTS)
    arguments = parser.parse_args()
    results: dict[str, list[tuple[float, float]]] = {variant: [] for variant in arguments.variants}
    for _ in range(arguments.rounds):
        for variant, figures in results.items():
            figures.append(measure(variant, arguments.seconds))
    print(f"{'server':12}{'requests/s':>12}{'µs of processor':>18}")
    for variant, figures in results.items():
        speeds, cpu_times = zip(*figures, strict=True)
        print(f"{variant:12}{statistics.median(speeds):12.0f}{statistics.median(cpu_times):18.1f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        main()
