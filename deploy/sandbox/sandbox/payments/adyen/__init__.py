"""Refunds in the manner of Adyen: asynchronous, with results by signed notifications, and without idempotency keys."""
