"""The jobs of refunds: the refund at the payment gateway, and the e-mail that confirms it."""
