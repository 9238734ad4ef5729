"""Make the passwords and keys of a Compose stack, at its first start, and hand each part only what it needs.

Each folder of /secrets is a volume that only its readers mount. What is there stays; so it can run at every start.
"""

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path

ROOT = Path("/secrets")
SERVICES = ("orders", "returns", "invoicing", "refunds")
ROLES = ("client", "warehouse", "payments", "manager", "ops")
# Who reads: the group that the images' processes run with. Root owns, so that no reader can change anything.
ARTICURATED, POSTGRES, GRAFANA = 10001, 999, 0


def main() -> None:
    password = {
        login: _keep("database", login, POSTGRES, _password)
        for login in ("postgres", *(name for service in SERVICES for name in (service, f"{service}_owner")))
    }
    link_signing_key = _keep("orders", "LINK_SIGNING_KEY", ARTICURATED, _password)
    api_keys = _keep("operator", "api-keys.json", ARTICURATED, _api_keys)
    _keep("grafana", "admin_password", GRAFANA, _password)
    _keep("refunds", "PAYMENT_GATEWAY_KEY", ARTICURATED, lambda: f"sk_test_{secrets.token_hex(16)}")
    _write("invoicing", "LINK_SIGNING_KEY", ARTICURATED, link_signing_key)
    for service in SERVICES:
        owner = f"{service}_owner"
        address = f"postgresql://{service}:{password[service]}@postgres/{service}"
        _write(service, "DATABASE_URL", ARTICURATED, address)
        _write(f"{service}-owner", "DATABASE_URL", ARTICURATED, address)
        address = f"postgresql://{owner}:{password[owner]}@postgres/{service}"
        _write(f"{service}-owner", "MIGRATION_DATABASE_URL", ARTICURATED, address)
        _write(f"{service}-owner", "api-keys.json", ARTICURATED, api_keys)


def _password() -> str:
    return secrets.token_urlsafe(24)


def _api_keys() -> str:
    """One key for each role a caller can have, in the form that `api-keys ensure --from-file` takes."""
    keys = [
        {"name": role, "role": role, "key": f"ak_{role}_{secrets.token_hex(4)}.{secrets.token_urlsafe(32)}"}
        for role in ROLES
    ]
    return json.dumps(keys, indent=2) + "\n"


def _keep(volume: str, name: str, readers: int, make: Callable[[], str]) -> str:
    """What the file says; it is made if it is not there."""
    path = ROOT / volume / name
    if not path.exists():
        _write(volume, name, readers, make())
    return path.read_text()


def _write(volume: str, name: str, readers: int, content: str) -> None:
    folder = ROOT / volume
    folder.chmod(0o750)
    os.chown(folder, 0, readers)
    partial = folder / f".{name}"
    partial.unlink(missing_ok=True)  # of a start that was interrupted
    partial.write_text(content)
    partial.chmod(0o440)
    os.chown(partial, 0, readers)
    partial.replace(folder / name)


if __name__ == "__main__":
    main()
