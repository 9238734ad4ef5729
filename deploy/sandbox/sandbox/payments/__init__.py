"""A payment gateway with the refunds of Stripe's API (v1)."""
