"""Create the passwords and keys of a Compose stack, and give each container only those it needs.

Each folder of /secrets is a volume that only its readers mount; the services are those with a volume for their owner's
login. Files that exist are not changed, so the script can run at every start.
"""

import json
import os
import secrets
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

ROOT = Path("/secrets")
OWNER_VOLUME = "-owner"
ROLES = ("client", "warehouse", "payments", "manager", "ops")
# Group ids of the readers. Root owns the files, so that no reader can change them.
ARTICURATED, POSTGRES, GRAFANA = 10001, 999, 0


def main() -> None:
    services = sorted(folder.name.removesuffix(OWNER_VOLUME) for folder in ROOT.glob(f"*{OWNER_VOLUME}"))
    password = {
        login: _ensure("database", login, POSTGRES, _password)
        for login in ("postgres", *(name for service in services for name in (service, f"{service}_owner")))
    }
    link_signing_key = _ensure("orders", "LINK_SIGNING_KEY", ARTICURATED, _password)
    api_keys = _ensure("operator", "api-keys.json", ARTICURATED, _api_keys)
    _ensure("grafana", "admin_password", GRAFANA, _password)
    _ensure("refunds", "PAYMENT_GATEWAY_KEY", ARTICURATED, lambda: f"sk_test_{secrets.token_hex(16)}")
    webhook_secret = _ensure("refunds", "PAYMENT_WEBHOOK_SECRET", ARTICURATED, lambda: secrets.token_hex(32))
    _write("payment-sandbox", "PAYMENT_WEBHOOK_SECRET", ARTICURATED, webhook_secret)
    _ensure("console", "SESSION_KEY", ARTICURATED, _random_key)
    _write("invoicing", "LINK_SIGNING_KEY", ARTICURATED, link_signing_key)
    for service in services:
        _ensure(service, "AUDIT_SIGNING_KEY", ARTICURATED, _random_key)
        owner = f"{service}_owner"
        address = f"postgresql://{service}:{password[service]}@postgres/{service}"
        _write(service, "DATABASE_URL", ARTICURATED, address)
        _write(service + OWNER_VOLUME, "DATABASE_URL", ARTICURATED, address)
        address = f"postgresql://{owner}:{password[owner]}@postgres/{service}"
        _write(service + OWNER_VOLUME, "MIGRATION_DATABASE_URL", ARTICURATED, address)
        _write(service + OWNER_VOLUME, "api-keys.json", ARTICURATED, api_keys)


def _password() -> str:
    return secrets.token_urlsafe(24)


def _random_key() -> str:
    return b64encode(secrets.token_bytes(32)).decode()


def _api_keys() -> str:
    """One key for each role of a caller, in the format of `api-keys ensure --from-file`."""
    keys = [
        {"name": role, "role": role, "key": f"ak_{role}_{secrets.token_hex(4)}.{secrets.token_urlsafe(32)}"}
        for role in ROLES
    ]
    return json.dumps(keys, indent=2) + "\n"


def _ensure(volume: str, name: str, readers: int, create: Callable[[], str]) -> str:
    """The content of the file, which is created if it is missing."""
    path = ROOT / volume / name
    if not path.exists():
        _write(volume, name, readers, create())
    return path.read_text()


def _write(volume: str, name: str, readers: int, content: str) -> None:
    folder = ROOT / volume
    folder.chmod(0o750)
    os.chown(folder, 0, readers)
    partial = folder / f".{name}"
    partial.unlink(missing_ok=True)  # from an interrupted start
    partial.write_text(content)
    partial.chmod(0o440)
    os.chown(partial, 0, readers)
    partial.replace(folder / name)


if __name__ == "__main__":
    main()
