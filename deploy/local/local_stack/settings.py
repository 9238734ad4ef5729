"""What the environment asks of the stack."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

SERVICE_DEFAULTS = {"RETRY_UNIT_SECONDS": "60", "RATE_LIMIT_PER_MINUTE": "100"}
PORT_PREFIX = "PORT_"


class SettingsError(ValueError):
    """A variable of the environment has a value we cannot use."""


@dataclass(frozen=True)
class StackSettings:
    folder: Path
    split: bool
    """A process for each role, in place of one for each service."""
    ports: Mapping[str, int]
    environment: Mapping[str, str]
    """Handed on to the services: any of their settings can be given to the stack."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read STACK_DIR, ROLES (all or split) and PORT_<NAME> (as in PORT_ORDERS). Raises SettingsError."""
        roles = environment.get("ROLES", "all")
        if roles not in ("all", "split"):
            raise SettingsError(f"ROLES is all or split, not {roles!r}")
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
    nearest = next(each for each in (folder, *folder.parents) if each.exists())
    if not nearest.is_dir():
        raise SettingsError(f"STACK_DIR is a folder, or becomes one; {nearest} is a file")
    return folder


def _port(name: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal()) or not 0 < int(value) < 65536:
        raise SettingsError(f"{name} is a port number, not {value!r}")
    return int(value)
