"""The dialect of Adyen: a refund is accepted at once, its result follows in a signed notification, and there are no
idempotency keys."""
