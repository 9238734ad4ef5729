"""The set-up step: fetch and check Kafka's jars, and let one broker leave its loaded classes behind."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jgo.config import GlobalSettings
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import MavenContext

from local_stack import jars
from local_stack.kafka import CLASS_CACHE, Kafka

ENDPOINT = ("org.apache.kafka:kafka_2.13:4.4.0", "org.slf4j:slf4j-simple:1.7.36")
RUN_TIME_SCOPES = (None, "compile", "runtime")
PARALLEL_DOWNLOADS = 8


def fetch_jars() -> None:
    """Download what is missing and check all of it. Raises UntrustedJarError."""
    maven = _maven()
    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
        list(pool.map(lambda jar: _fetch(jar, maven), jars.locked_jars()))


def train_class_cache() -> None:
    """Write CLASS_CACHE unless it is newer than all jars and their order: the JVM takes it for nothing else."""
    newest = max(path.stat().st_mtime for path in (jars.LOCK, *(jar.path for jar in jars.locked_jars())))
    if CLASS_CACHE.exists() and CLASS_CACHE.stat().st_mtime > newest:
        return
    with tempfile.TemporaryDirectory() as folder:
        Kafka(Path(folder)).train()


def write_lock() -> None:
    """Resolve Kafka's dependencies anew and pin what was found; the change is then reviewed as a diff."""
    maven = _maven()
    direct, transitive = maven.resolver.resolve([maven.create_dependency(coordinate) for coordinate in ENDPOINT])
    artifacts = [found.artifact for found in [*direct, *transitive] if found.scope in RUN_TIME_SCOPES]
    lines = [f"{each.groupId}:{each.artifactId}:{each.version} {jars.sha256(each.resolve())}" for each in artifacts]
    title = "# Apache Kafka and what it needs: group:artifact:version sha256. Written by `python -m local_stack lock`."
    jars.LOCK.write_text("\n".join([title, *sorted(lines), ""]))


def _maven() -> MavenContext:
    repositories = {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
    return MavenContext(repo_cache=jars.REPOSITORY, remote_repos=repositories, timeout=30)


def _fetch(jar: jars.LockedJar, maven: MavenContext) -> None:
    if jar.path.exists() and jars.sha256(jar.path) != jar.sha256:
        jar.path.unlink()  # an interrupted download leaves half a jar
    maven.project(jar.group, jar.name).at_version(jar.version).artifact().resolve()
    jar.verify()
