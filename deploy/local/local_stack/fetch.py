"""Set-up of Kafka: download and verify its jars, create its class cache, resolve and pin a new version."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jgo.config import GlobalSettings
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import MavenContext

from local_stack import jars
from local_stack.kafka import CLASS_CACHE, Kafka

KAFKA = ("org.apache.kafka:kafka_2.13:4.4.0", "org.slf4j:slf4j-simple:1.7.36")
RUN_TIME_SCOPES = (None, "compile", "runtime")
PARALLEL_DOWNLOADS = 8


def fetch_jars() -> None:
    """Download the missing jars and verify all of them. Raises UntrustedJarError."""
    maven = _maven()
    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
        list(pool.map(lambda jar: _fetch(jar, maven), jars.locked_jars()))


def create_class_cache() -> None:
    """Write CLASS_CACHE, unless it is newer than the lock file and all jars: the JVM ignores a cache of other jars."""
    newest = max(path.stat().st_mtime for path in (jars.LOCK_FILE, *(jar.path for jar in jars.locked_jars())))
    if CLASS_CACHE.exists() and CLASS_CACHE.stat().st_mtime > newest:
        return
    with tempfile.TemporaryDirectory() as folder:
        Kafka(Path(folder)).create_class_cache()


def write_lock() -> None:
    """Resolve Kafka's dependencies and pin the versions that were found. Review the diff of the lock file."""
    maven = _maven()
    direct, transitive = maven.resolver.resolve([maven.create_dependency(coordinate) for coordinate in KAFKA])
    dependencies = [each for each in [*direct, *transitive] if each.scope in RUN_TIME_SCOPES]
    artifacts = [dependency.artifact for dependency in dependencies]
    lines = [f"{jar.groupId}:{jar.artifactId}:{jar.version} {jars.sha256(jar.resolve())}" for jar in artifacts]
    header = "# Apache Kafka and what it needs: group:artifact:version sha256. Written by `python -m local_stack lock`."
    jars.LOCK_FILE.write_text("\n".join([header, *sorted(lines), ""]))


def _maven() -> MavenContext:
    repositories = {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
    return MavenContext(repo_cache=jars.REPOSITORY, remote_repos=repositories, timeout=30)


def _fetch(jar: jars.LockedJar, maven: MavenContext) -> None:
    if jar.path.exists() and jars.sha256(jar.path) != jar.sha256:
        jar.path.unlink()  # incomplete after an interrupted download
    maven.project(jar.group, jar.name).at_version(jar.version).artifact().resolve()
    jar.verify()
