"""Settings of the stack, read from environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

SERVICE_DEFAULTS = {"RETRY_UNIT_SECONDS": "60", "RATE_LIMIT_PER_MINUTE": "100"}
PORT_PREFIX = "PORT_"


class SettingsError(ValueError):
    """An environment variable has an invalid value."""


@dataclass(frozen=True)
class StackSettings:
    folder: Path
    split: bool
    """One process for each role, instead of one for each service."""
    ports: Mapping[str, int]
    environment: Mapping[str, str]
    """Passed to the services, so that any of their settings can be set for the stack."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read STACK_DIR, ROLES (all or split) and PORT_<NAME> (as in PORT_ORDERS). Raises SettingsError."""
        roles = environment.get("ROLES", "all")
        if roles not in ("all", "split"):
            raise SettingsError(f"ROLES must be all or split, not {roles!r}")
        return cls(
            folder=_folder(environment.get("STACK_DIR") or ".local"),
            split=roles == "split",
            ports={
                name.removeprefix(PORT_PREFIX).lower().replace("_", "-"): _port(name, value)
                for name, value in environment.items()
                if name.startswith(PORT_PREFIX)
            },
            environment=SERVICE_DEFAULTS | dict(environment),
        )


def _folder(text: str) -> Path:
    folder = Path(text).absolute()
    ancestor = next(path for path in (folder, *folder.parents) if path.exists())
    if not ancestor.is_dir():
        raise SettingsError(f"STACK_DIR must be a folder or a new path; {ancestor} is a file")
    return folder


def _port(name: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal()) or not 0 < int(value) < 65536:
        raise SettingsError(f"{name} must be a port number, not {value!r}")
    return int(value)
