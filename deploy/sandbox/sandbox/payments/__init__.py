"""A payment gateway that speaks the refund part of Stripe's API (v1)."""
