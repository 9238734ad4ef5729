"""The signature of the webhook that the examples have, for a stack and gateways with this secret."""

import hashlib
import hmac
import json
import time

from generators.api_examples import examples_of

WEBHOOK_SECRET = "whsec_examples"


def signature() -> str:
    """The value of `Stripe-Signature` for the body of the first example."""
    body, signed_at = json.dumps(examples_of("receiveWebhook")[0].body), int(time.time())
    digest = hmac.new(WEBHOOK_SECRET.encode(), f"{signed_at}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={signed_at},v1={digest}"
