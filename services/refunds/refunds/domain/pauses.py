"""How long to wait before the payment gateway is asked about a refund again (ADR 36)."""

from datetime import datetime, timedelta

from refunds.domain.refund import LastAnswer, Refund

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=0.5), timedelta(seconds=30)
# An event reports the end of a pending refund. These look-ups are for the case that the event is lost.
FIRST_PENDING_PAUSE, LONGEST_PENDING_PAUSE = timedelta(seconds=15), timedelta(minutes=30)
# An event of the provider ends it earlier.
HELD_PAUSE = timedelta(hours=1)
# The most that the provider's clock may differ from ours.
_CLOCK_TOLERANCE = timedelta(minutes=1)


def unknown_pause(refund: Refund, now: datetime) -> timedelta:
    """The time since the call, between 0.5 and 30 seconds: so the pauses are about 0.5, 1, 2, 4, … seconds."""
    past = LONGEST_PAUSE if refund.called_at is None else now - refund.called_at
    return min(max(past, FIRST_PAUSE), LONGEST_PAUSE)


def outage_pause(refund: Refund) -> timedelta:
    """The time from the first call that the gateway did not answer to the latest one, between 0.5 and 30 seconds."""
    past = timedelta(0)
    if refund.called_at is not None and refund.unreached_since is not None:
        past = refund.called_at - refund.unreached_since
    return min(max(past, FIRST_PAUSE), LONGEST_PAUSE)


def pending_pause(refund: Refund, now: datetime) -> timedelta:
    past = now - (refund.called_at or refund.created_at)
    return min(max(past, FIRST_PENDING_PAUSE), LONGEST_PENDING_PAUSE)


def uncertain_for(refund: Refund, now: datetime, *, longest_call: timedelta, lookup_lag: timedelta) -> timedelta:
    """How much later than `now` a look-up must begin to show for certain that the last call made nothing.

    Nothing for a decline: it was preceded by such a look-up, or by no call.
    """
    if refund.called_at is None or refund.last_answer is LastAnswer.DECLINED:
        return timedelta(0)
    ended_at = refund.called_at if refund.last_answer is not None else refund.called_at + longest_call
    return ended_at + lookup_lag - now


def is_of_an_earlier_call(refund: Refund, made_at: datetime, longest_call: timedelta) -> bool:
    """Whether the provider made it before the latest call."""
    return refund.called_at is not None and made_at < refund.called_at - longest_call - _CLOCK_TOLERANCE
