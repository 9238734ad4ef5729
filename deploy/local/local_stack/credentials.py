"""API keys and secrets of a stack: generated at its first start and stored in its folder with mode 0600."""

import json
import secrets
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from local_stack.files import read_json, write_private

ROLES = ("client", "warehouse", "payments", "manager", "ops")


class ApiKey(TypedDict):
    name: str
    role: str
    key: str


@dataclass(frozen=True)
class Credentials:
    api_keys: dict[str, str]
    """One key for each role of a caller."""
    api_key_file: Path
    """The same keys in the format of `python -m <service> api-keys ensure --from-file`."""
    link_signing_key: str
    payment_gateway_key: str
    payment_webhook_secret: str
    audit_signing_key: str
    console_session_key: str


def load_credentials(folder: Path) -> Credentials:
    api_key_file = folder / "api-keys.json"
    keys = read_json(api_key_file, [_new_api_key(role) for role in ROLES])
    write_private(api_key_file, json.dumps(keys))
    shared: dict[str, str] = {
        "link_signing_key": secrets.token_urlsafe(32),
        "audit_signing_key": b64encode(secrets.token_bytes(32)).decode(),
        "console_session_key": b64encode(secrets.token_bytes(32)).decode(),
        "payment_gateway_key": f"sk_test_{secrets.token_hex(16)}",
        # Hexadecimal, as Adyen's are.
        "payment_webhook_secret": secrets.token_hex(32),
    } | read_json(folder / "secrets.json", {})
    write_private(folder / "secrets.json", json.dumps(shared))
    return Credentials({key["role"]: key["key"] for key in keys}, api_key_file, **shared)


def _new_api_key(role: str) -> ApiKey:
    return {
        "name": f"local-{role}",
        "role": role,
        "key": f"ak_{role}_{secrets.token_hex(4)}.{secrets.token_urlsafe(32)}",
    }
