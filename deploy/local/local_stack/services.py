"""The services of the system. Another service is one more entry here; the stack runs whatever is listed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Service:
    roles: tuple[str, ...]
    """The roles of `python -m <service> ROLE`, one process for each with ROLES=split."""
    settings: tuple[str, ...] = ()
    """Names of environment variables, of those in `Stack.shared_settings`, that the service needs beside the
    settings of every service. A service is not given the secrets of another one."""


SERVICES = {
    "orders": Service(
        roles=("api", "consumer", "relay", "reconciler"),
        settings=("LINK_SIGNING_KEY", "INVOICE_DOWNLOAD_URL", "RETURNS_URL", "INVOICING_URL", "REFUNDS_URL"),
    ),
    "returns": Service(
        roles=("api", "consumer", "relay", "worker", "reconciler"),
    ),
    "invoicing": Service(
        roles=("api", "consumer", "relay", "worker", "reconciler"),
        settings=("LINK_SIGNING_KEY", "DOCUMENT_FOLDER", "SELLER_TIME_ZONE"),
    ),
    "refunds": Service(
        roles=("api", "consumer", "relay", "worker", "reconciler"),
        settings=("PAYMENT_GATEWAY_URL", "PAYMENT_GATEWAY_KEY", "PAYMENT_WEBHOOK_SECRET"),
    ),
}
