"""Health and readiness of a process. Probes have connections and time limits of their own, so that they answer even
when a dependency hangs."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from common.database.probe_connection import ProbeConnection
from common.database.schema_version import missing_revisions
from common.messaging.kafka.broker_probe import BrokerProbe
from common.setting_types import parse_brokers
from common.settings import ServiceSettings

# Two probes run concurrently, and the contract requires the answer within a second.
PROBE_SECONDS = 0.8

Probe = Callable[[], Awaitable[None]]
NotReady = Callable[[], str | None]


class NotHealthy(Exception):
    """Why a probe failed. The health page shows the message, without authentication."""


class SharedProbe:
    """Runs a probe once for all callers that wait at the same time. The result is None, or why it failed."""

    def __init__(self, name: str, probe: Probe) -> None:
        self._name = name
        self._probe = probe
        self._running: asyncio.Task[str | None] | None = None

    async def __call__(self) -> str | None:
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return await asyncio.shield(self._running)

    async def _run(self) -> str | None:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self._probe()
        except TimeoutError:
            return f"{self._name}: no answer within {PROBE_SECONDS} s"
        except NotHealthy as error:
            return f"{self._name}: {error}"
        except Exception:
            return f"{self._name}: not reachable"
        return None


class Health:
    """The content of `/livez`, `/readyz` and the contract's health page."""

    def __init__(self, service: str | None, settings: ServiceSettings) -> None:
        self._service = service
        self._settings = settings
        self._connection = ProbeConnection(
            settings.database_url, application_name=f"{service or 'service'} probe", connect_seconds=PROBE_SECONDS
        )
        self._broker = BrokerProbe(parse_brokers(settings.kafka_bootstrap), answer_seconds=PROBE_SECONDS)
        self.is_migrated = False
        self._needs: dict[str, NotReady] = {}
        self._needs_to_start: dict[str, NotReady] = {}
        self.is_stopping = False
        self.database = SharedProbe("database", self._probe_database)
        self.migrations = SharedProbe("migrations", self._probe_migrations)
        self.kafka = SharedProbe("kafka", self._probe_kafka)

    def needs(self, name: str, not_ready: NotReady, *, only_to_start: bool = False) -> None:
        """Not ready while `not_ready` returns a reason; with `only_to_start`, until it first returns None."""
        (self._needs_to_start if only_to_start else self._needs)[name] = not_ready

    async def why_not_ready(self) -> list[str]:
        """The reasons why the process is not ready; empty when it is."""
        if self.is_stopping:
            return ["stopping"]
        self._needs_to_start = {name: check for name, check in self._needs_to_start.items() if check() is not None}
        needs = {**self._needs, **self._needs_to_start}
        reasons = [f"{name}: {reason}" for name, check in needs.items() if (reason := check()) is not None]
        database = await (self.database() if self.is_migrated else self.migrations())
        return [database, *reasons] if database is not None else reasons

    async def document(self) -> dict[str, Any]:
        """The contract's health page."""
        probes = {"database": self.database, "kafka": self.kafka}
        failures = dict(zip(probes, await asyncio.gather(*(probe() for probe in probes.values())), strict=True))
        errors = [failure for failure in failures.values() if failure is not None]
        document: dict[str, Any] = {
            "status": "unhealthy" if errors else "healthy",
            "timestamp": datetime.now(UTC),
            "services": {name: "disconnected" if failure else "connected" for name, failure in failures.items()},
        }
        return {**document, "errors": errors} if errors else document

    async def close(self) -> None:
        await self._connection.close()
        await self._broker.close()

    async def _probe_database(self) -> None:
        await self._connection.ask(lambda connection: connection.fetchval("SELECT 1"))

    async def _probe_migrations(self) -> None:
        missing = await self._connection.ask(lambda connection: missing_revisions(connection, self._service))
        if missing:
            raise NotHealthy(f"missing: {', '.join(missing)}")
        self.is_migrated = True

    async def _probe_kafka(self) -> None:
        if not await self._broker.ask():
            raise NotHealthy("not reachable")
