"""A circuit breaker for the payment gateway: while it does not answer, no refund is called or looked up (ADR 36)."""

import time
from collections.abc import Callable
from datetime import timedelta
from enum import Enum, auto
from uuid import UUID

import structlog
from prometheus_client import Gauge

# One refund can fail for a reason of its own; that several fail in a row has a common one. Where the gateway did not
# answer at all, the reason is never the refund's own: then so many calls are enough, whatever they are about.
DISTINCT_REFUNDS = 3
SECONDS_OPEN = 1.0
# A longer `Retry-After` counts as this: a wrong one must not stop the refunds for hours.
LONGEST_OPEN = 300.0

_log = structlog.get_logger(__name__)
_circuit = Gauge(
    "payment_gateway_circuit_open", "1 while refunds wait for the payment gateway to answer, else 0", ["gateway"]
)


class Circuit(Enum):
    CLOSED = auto()
    HALF_OPEN = auto()
    OPEN = auto()


class Breaker:
    """Opens after failures of `DISTINCT_REFUNDS` different refunds in a row, after as many calls in a row without an
    answer, and when the gateway asks to wait.

    Then it is half-open: one refund probes the gateway, whose answer closes it, and whose failure opens it again.
    """

    def __init__(
        self, gateway: str, *, seconds_open: float = SECONDS_OPEN, clock: Callable[[], float] = time.monotonic
    ):
        self._gateway = gateway
        self._seconds_open = seconds_open
        self._clock = clock
        self._failed: set[object] = set()
        self._open_until = 0.0
        self._is_closed = True
        self._probes: set[UUID] = set()
        _circuit.labels(gateway).set(0)

    @property
    def circuit(self) -> Circuit:
        if self._is_closed:
            return Circuit.CLOSED
        return Circuit.OPEN if self._clock() < self._open_until else Circuit.HALF_OPEN

    def places(self, most: int) -> int:
        """How many refunds may be worked on."""
        return {Circuit.CLOSED: most, Circuit.HALF_OPEN: 1, Circuit.OPEN: 0}[self.circuit]

    def seconds_to_wait(self, refund_id: UUID) -> float | None:
        """None where the refund may be called now: the circuit is closed, or the refund is the probe."""
        if self._is_closed:
            return None
        remaining = self._open_until - self._clock()
        if remaining > 0:
            return remaining
        if self._probes - {refund_id}:
            return self._seconds_open
        self._probes.add(refund_id)
        return None

    def succeeded(self) -> bool:
        """The gateway has answered, whatever it said; true where that closes the circuit."""
        was_open = not self._is_closed
        self._failed.clear()
        self._probes.clear()
        self._is_closed = True
        if was_open:
            _log.warning("the payment gateway answers again", gateway=self._gateway)
            self._publish()
        return was_open

    def failed(self, refund_id: UUID, retry_after: float | None = None, *, is_outage: bool = False) -> None:
        """A call failed. `is_outage`: the gateway was not reached, or did not answer. It may ask to wait for
        `retry_after` seconds, of which `LONGEST_OPEN` count."""
        self._probes.discard(refund_id)
        if self._is_closed:  # an outage of hours has thousands of probes
            self._failed.add(object() if is_outage else refund_id)
        if retry_after is None and self._is_closed and len(self._failed) < DISTINCT_REFUNDS:
            return
        if self._is_closed:
            _log.error("the payment gateway does not answer: refunds wait", gateway=self._gateway)
        self._is_closed = False
        self._open_until = self._clock() + max(min(retry_after or 0.0, LONGEST_OPEN), self._seconds_open)
        self._publish()

    def pause(self) -> timedelta:
        """How long no refund may be called; nothing while the circuit is closed or half-open."""
        return timedelta(seconds=0 if self._is_closed else max(self._open_until - self._clock(), 0))

    def abandon(self, refund_id: UUID) -> None:
        """The refund made no call after all."""
        self._probes.discard(refund_id)

    def _publish(self) -> None:
        _circuit.labels(self._gateway).set(not self._is_closed)
