"""Behaviours of a payment provider towards one refund: faults of the sandbox, refunds by hand, and disputes."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from support.payments.sandbox import PaymentSandbox

Fault = tuple[str, Mapping[str, object]]
Step = Callable[["Scene"], Awaitable[None]]


@dataclass(frozen=True)
class Scene:
    """The argument of a behaviour's steps: its payment, the sandbox of the provider, and functions that wait."""

    sandbox: PaymentSandbox
    payment: str
    wait_for_state: Callable[[str], Awaitable[None]]
    """Wait until the refund is in this state."""
    wait_for_answer: Callable[[], Awaitable[None]]
    """Wait until a call was answered with a refund."""
    wait_for_event: Callable[[], Awaitable[None]]
    """Wait until the latest event about the payment was applied."""


@dataclass(frozen=True)
class Behaviour:
    name: str
    faults: Sequence[Fault] = ()
    before: Step | None = None
    """Run before the refund is requested."""
    after: Step | None = None
    """Run after the refund was requested."""
    only: Sequence[str] = field(default=("stripe", "adyen"))
    """The names of the dialects that have this behaviour."""
    shows_look_ups: bool = False
    """Whether the table shows the look-ups. Where a webhook decides the outcome, there may be a look-up before it or
    not."""


# Without webhooks, the outcome is known from the call itself, a look-up or a sweep only.
_NO_WEBHOOK: Fault = ("webhook_lost", {"times": None})
# The time limit of a call, and a delay that is longer than this limit, but shorter than it and `lookup_lag` together.
CALL_SECONDS, TOO_LATE_SECONDS = 2.5, 3.0


def _fault(name: str, mode: str, *, only: Sequence[str] = ("stripe", "adyen"), **options: object) -> Behaviour:
    """A behaviour that is one fault of the call, without webhooks."""
    return Behaviour(name, [(mode, options), _NO_WEBHOOK], only=only, shows_look_ups=True)


def _later(name: str, mode: str, **options: object) -> Behaviour:
    """A behaviour whose outcome is reported by a webhook after the call."""
    return Behaviour(name, [(mode, options)])


async def _release_webhooks(scene: Scene) -> None:
    await scene.wait_for_answer()
    await scene.sandbox.release_webhooks(scene.payment)


async def _release_webhook_after_a_later_one(scene: Scene) -> None:
    await scene.wait_for_event()
    await scene.sandbox.release_webhooks(scene.payment)


async def _expire_keys(scene: Scene) -> None:
    await scene.wait_for_state("UNKNOWN")
    await scene.sandbox.expire_keys(scene.payment)


async def _refund_all_by_hand(scene: Scene) -> None:
    await scene.sandbox.refund_by_hand(scene.payment)
    await scene.wait_for_event()


async def _refund_part_by_hand(scene: Scene) -> None:
    await scene.sandbox.refund_by_hand(scene.payment, 1000)
    await scene.wait_for_event()


async def _open_dispute(scene: Scene) -> None:
    await scene.sandbox.dispute(scene.payment, "opened")
    await scene.wait_for_event()


async def _win_dispute(scene: Scene) -> None:
    await scene.wait_for_state("HELD")
    await scene.sandbox.dispute(scene.payment, "won")


async def _lose_dispute(scene: Scene) -> None:
    await scene.wait_for_state("HELD")
    await scene.sandbox.dispute(scene.payment, "lost")


async def _refund_by_hand_while_held(scene: Scene) -> None:
    await scene.wait_for_state("HELD")
    await scene.sandbox.refund_by_hand(scene.payment)


BEHAVIOURS = (
    Behaviour("succeeds"),
    _fault("is slow, and applies the refund after the time limit", "slow", delay_seconds=TOO_LATE_SECONDS),
    _fault("times out before it applies the refund", "timeout_before_apply"),
    _fault("times out after it applied the refund", "timeout_after_apply"),
    _fault("answers 409", "conflict"),
    _fault("answers 429 with Retry-After", "rate_limit", retry_after_seconds=1),
    _fault("answers 500, and applied nothing", "fail"),
    _fault("answers 500, and applied the refund", "fail_after_apply"),
    _fault("answers 503, and applied nothing", "unavailable"),
    _fault("declines", "decline"),
    _fault("has the key with another body", "key_reused", only=["stripe"]),
    _fault("loses the answer, and its look-up lags", "lookup_lag", delay_seconds=0.7, loses_answer=True),
    Behaviour(
        "loses the request, and forgets the key",
        [("timeout_before_apply", {}), _NO_WEBHOOK],
        after=_expire_keys,
        only=["stripe"],
        shows_look_ups=True,
    ),
    _later("has it pending, then succeeds", "pending", then="succeeded", delay_seconds=0.5),
    _later("has it pending, then fails", "pending", then="failed", delay_seconds=0.5),
    _later("succeeds, and takes the success back", "reversed", delay_seconds=3.0),
    _later("sends the webhook before the answer", "webhook_before_answer"),
    Behaviour("sends the webhook late", [("webhook_held", {"times": None})], after=_release_webhooks),
    Behaviour("sends the webhook instead of the answer", [("timeout_after_apply", {})]),
    Behaviour("sends no webhook", [_NO_WEBHOOK]),
    Behaviour("takes the success back, and sends no webhook", [("reversed", {"delay_seconds": 3.0}), _NO_WEBHOOK]),
    Behaviour("sends each webhook twice", [("webhook_twice", {"times": None})]),
    Behaviour("sends a forged webhook before each", [("webhook_forged", {"times": None})]),
    Behaviour(
        "takes the success back, and sends the webhooks out of order",
        # Held until the later one was applied: two that arrive together are applied in either order.
        [("reversed", {"delay_seconds": 0.1}), ("webhook_held", {})],
        after=_release_webhook_after_a_later_one,
    ),
    Behaviour("was asked by hand, in full", before=_refund_all_by_hand),
    Behaviour("was asked by hand, in part", before=_refund_part_by_hand),
    Behaviour("has an open dispute", before=_open_dispute),
    Behaviour("has an open dispute, and was asked by hand", before=_open_dispute, after=_refund_by_hand_while_held),
    Behaviour("has a dispute that we win", before=_open_dispute, after=_win_dispute),
    Behaviour("has a dispute that we lose", before=_open_dispute, after=_lose_dispute),
)


def resets(part: str, positions: Sequence[int]) -> list[Behaviour]:
    """The connection is reset after so many bytes of the `request` or of the `response`."""
    return [_fault(f"resets the {part} after {each} bytes", f"reset_{part}", after_bytes=each) for each in positions]
