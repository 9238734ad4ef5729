"""A short wait, without a database connection, until the copy of an order is delivered (ADR 9)."""

import asyncio
import contextlib
from collections.abc import Callable
from contextvars import Context
from uuid import UUID

import structlog
from common.database.fair_shares import FairShares
from common.database.statements import Connection
from common.errors import Problem

from returns.repository import orders

POLL_SECONDS = 0.02
LOOKS_AT_ONCE = 3
LOOK_SECONDS = 5
# The largest part of the waiting requests, and of the looks at once, that one caller may have.
CALLER_SHARE = 0.75

_log = structlog.get_logger(__name__)


class DeliveryWait:
    """The requests of one process that wait for events of their orders. One query at a time looks for all of them,
    however many wait, and none runs when none waits.

    A request holds `first_look` while it reads the order before the wait, and `second_look` after it. Requests that
    came together also wake together: without these limits two hundred of them would take every connection. One caller
    never has all places.
    """

    def __init__(
        self, reading: Callable[[], contextlib.AbstractAsyncContextManager[Connection]], *, seconds: float, limit: int
    ) -> None:
        self._reading = reading
        self._seconds = seconds
        self._places = FairShares("deliveries", limit, share=CALLER_SHARE, waiting_limit=1, seconds=LOOK_SECONDS)
        self._waiting: dict[asyncio.Event, tuple[UUID, UUID | None]] = {}
        self._poller: asyncio.Task[None] | None = None
        self.first_look, self.second_look = (
            FairShares(name, LOOKS_AT_ONCE, share=CALLER_SHARE, waiting_limit=limit, seconds=LOOK_SECONDS)
            for name in ("first looks", "second looks")
        )

    def __len__(self) -> int:
        """The number of waiting requests."""
        return len(self._waiting)

    async def until_delivered(self, order_id: UUID, customer_id: UUID | None, caller_id: UUID) -> None:
        """Return when the order is delivered, to this customer if not None, or at the latest after `seconds`.

        Raises `Problem` UNAVAILABLE when `limit` requests wait already, or too many of this caller.
        """
        if not self._places.take_free(caller_id):
            raise Problem.unavailable("Too many requests wait for the events of their orders; please try again.")
        delivery = asyncio.Event()
        self._waiting[delivery] = (order_id, customer_id)
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll(), context=Context())
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await delivery.wait()
        finally:
            del self._waiting[delivery]
            self._places.give_back(caller_id)

    async def _poll(self) -> None:
        while self._waiting:
            try:
                await self._look()
            except Exception as error:  # the waiting requests get the same error at their second look
                _log.warning("query for delivered orders failed", reason=f"{type(error).__name__}: {error}")
            await asyncio.sleep(POLL_SECONDS)

    async def _look(self) -> None:
        order_ids = {order_id for order_id, _ in self._waiting.values()}
        async with self._reading() as connection:
            customer_of = await orders.find_delivered(connection, order_ids)
        for delivery, (order_id, customer_id) in self._waiting.items():
            if order_id in customer_of and customer_id in (None, customer_of[order_id]):
                delivery.set()
