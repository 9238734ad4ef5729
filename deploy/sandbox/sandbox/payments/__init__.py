"""The payment sandbox: payment providers with refunds, disputes and webhooks, in the dialects of Stripe and Adyen."""
