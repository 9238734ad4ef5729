"""Apache Kafka's jars: none is run unless it has the SHA-256 the committed lock file names."""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

LOCK = Path(__file__).with_name("kafka-jars.lock")
# Inside the virtual environment, like any other dependency: one clone never trusts, or breaks, what another fetched.
REPOSITORY = Path(sys.prefix) / "share" / "kafka-jars"


class UntrustedJarError(Exception):
    """A jar is missing, or is not the one the lock file names."""


@dataclass(frozen=True)
class LockedJar:
    group: str
    name: str
    version: str
    sha256: str

    @property
    def path(self) -> Path:
        return REPOSITORY.joinpath(*self.group.split("."), self.name, self.version, f"{self.name}-{self.version}.jar")

    def verify(self) -> None:
        """Raises UntrustedJarError."""
        if not self.path.exists():
            raise UntrustedJarError(f"{self.path} is missing: run `python -m local_stack fetch`")
        found = sha256(self.path)
        if found != self.sha256:
            raise UntrustedJarError(f"{self.path} has SHA-256 {found}, the lock file says {self.sha256}")


def locked_jars() -> list[LockedJar]:
    return [_parse(line) for line in LOCK.read_text().splitlines() if not line.startswith("#")]


def class_path() -> str:
    """Kafka's class path, each of its 45 jars re-hashed (44 MB, 0.03 s). Raises UntrustedJarError."""
    jars = locked_jars()
    for jar in jars:
        jar.verify()
    return ":".join(str(jar.path) for jar in jars)


def _parse(line: str) -> LockedJar:
    coordinate, sha256 = line.split()
    group, name, version = coordinate.split(":")
    return LockedJar(group, name, version, sha256)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
