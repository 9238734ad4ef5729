"""nginx with the configuration of docker-compose.yml, before services that a test chooses."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from local_stack.ports import free_ports
from support.gateway.raw_http import RawClient
from support.waiting import eventually

CONFIGURATION = Path(__file__).parents[3] / "deploy" / "nginx" / "nginx.conf"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


@dataclass(frozen=True)
class Nginx:
    port: int

    async def connect(self, *, limit: int = 2**16) -> RawClient:
        return RawClient(*await asyncio.open_connection("127.0.0.1", self.port, limit=limit))


def configuration(folder: Path, port: int, **services: str) -> str:
    """The text of the file with a test's addresses; `services` are `host:port` of orders, returns and origin."""
    text = CONFIGURATION.read_text().replace("/tmp/", f"{folder}/").replace("listen 8000", f"listen 127.0.0.1:{port}")
    for name in ("orders", "returns", "origin"):
        assert f"{name}-edge:8000" in text
        text = text.replace(f"{name}-edge:8000", services.get(name, "127.0.0.1:9"))
    return text.replace("/dev/stdout", f"{folder}/access.log")


@asynccontextmanager
async def nginx(folder: Path, **services: str) -> AsyncIterator[Nginx]:
    assert NGINX is not None
    [port] = free_ports(1)
    file = folder / "nginx.conf"
    file.write_text(configuration(folder, port, **services))
    process = await asyncio.create_subprocess_exec(NGINX, "-p", str(folder), "-c", str(file))
    try:
        await eventually(lambda: _listens(port))
        yield Nginx(port)
    finally:
        process.terminate()
        await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
