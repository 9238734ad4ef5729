"""The refunds and events of Stripe's API (v1)."""
