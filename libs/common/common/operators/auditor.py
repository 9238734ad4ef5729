"""The auditor: verifies the whole audit trail regularly and at an operator's request, in the role `relay`."""

import asyncio
from typing import Any

import structlog

from common.component import pause, unless_stopping
from common.database.transactions import FailuresLogged, reading, transaction
from common.operators import audit_requests
from common.operators.audit_verification import verify_audit
from common.service import Runtime

SECONDS_BETWEEN_LOOKS = 5.0

_log = structlog.get_logger(__name__)


async def verify_regularly(runtime: Runtime[Any], stopping: asyncio.Event) -> None:
    """Several processes may do so at once; each verification runs in one of them."""
    hours = runtime.settings.audit_verification_hours
    while not stopping.is_set():
        with FailuresLogged(_log.warning, "the verification of the audit trail waits for the database"):
            async with reading(runtime.pool) as connection:
                if hours:
                    await audit_requests.request_due(connection, hours)
                verification_id = await audit_requests.start_requested(connection)
            if verification_id is not None:
                await unless_stopping(stopping, _verify(runtime, verification_id))
        await pause(stopping, SECONDS_BETWEEN_LOOKS)


async def _verify(runtime: Runtime[Any], verification_id: int) -> None:
    async with transaction(runtime.pool) as connection:
        result = await verify_audit(connection, runtime)
    if result["broken"] is not None:
        _log.error("the audit trail is damaged", problems=result["problems"], first=result["broken"])
    async with reading(runtime.pool) as connection:
        await audit_requests.finish(connection, verification_id, result)
