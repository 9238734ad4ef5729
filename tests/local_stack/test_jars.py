"""Kafka runs only with jars that have the committed hashes."""

import shutil
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from local_stack import fetch, jars
from local_stack.jars import UntrustedJarError
from local_stack.kafka import Kafka


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the fetched jars, which a test may damage."""
    copy = tmp_path / "kafka-jars"
    for jar in jars.locked_jars():
        target = copy / jar.path.relative_to(jars.REPOSITORY)
        target.parent.mkdir(parents=True)
        shutil.copyfile(jar.path, target)
    monkeypatch.setattr(jars, "REPOSITORY", copy)
    return copy


def test_the_lock_names_each_jar_once_with_its_hash_and_no_address() -> None:
    text = jars.LOCK_FILE.read_text()
    entries = jars.locked_jars()
    assert "://" not in text
    assert len({(jar.group, jar.name) for jar in entries}) == len(entries) == 45
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in entries)


def test_kafka_does_not_start_with_a_changed_jar(repository: Path, tmp_path: Path) -> None:
    [changed] = repository.glob("**/kafka-server-4*.jar")
    with changed.open("ab") as jar:
        jar.write(b"!")
    with pytest.raises(UntrustedJarError, match=r"kafka-server-4.* has SHA-256"):
        Kafka(tmp_path / "kafka").start()


def test_kafka_does_not_start_without_a_jar_and_prints_the_remedy(repository: Path, tmp_path: Path) -> None:
    [missing] = repository.glob("**/slf4j-api-*.jar")
    missing.unlink()
    with pytest.raises(UntrustedJarError, match="run `python -m local_stack fetch`"):
        Kafka(tmp_path / "kafka").start()


def test_fetching_replaces_an_incomplete_jar(repository: Path, maven_central: Path) -> None:
    [incomplete] = repository.glob("**/jspecify-*.jar")
    content = incomplete.read_bytes()
    source = maven_central / incomplete.relative_to(repository)
    source.parent.mkdir(parents=True)
    source.write_bytes(content)
    incomplete.write_bytes(content[:100])
    fetch.fetch_jars()
    assert incomplete.read_bytes() == content


def test_fetching_rejects_a_jar_with_another_hash(repository: Path, maven_central: Path) -> None:
    [jar] = repository.glob("**/jspecify-*.jar")
    source = maven_central / jar.relative_to(repository)
    source.parent.mkdir(parents=True)
    source.write_bytes(b"something else")
    jar.unlink()
    with pytest.raises(UntrustedJarError, match=r"jspecify.* has SHA-256"):
        fetch.fetch_jars()


def test_the_lock_file_lists_every_jar_that_kafka_needs(
    repository: Path, maven_central: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(maven_central, "broker", needs="wire-format")
    publish(maven_central, "wire-format")
    monkeypatch.setattr(fetch, "KAFKA", ("example:broker:1.0",))
    monkeypatch.setattr(jars, "LOCK_FILE", repository / "new.lock")
    fetch.write_lock()
    assert [(jar.name, jar.sha256) for jar in jars.locked_jars()] == [
        (name, sha256(name.encode()).hexdigest()) for name in ("broker", "wire-format")
    ]


@pytest.fixture
def maven_central(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of an empty Maven repository on this machine."""
    folder = tmp_path / "maven-central"
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(fetch, "MAVEN_CENTRAL_URL", f"http://127.0.0.1:{server.server_port}")
        yield folder
        server.shutdown()


def publish(repository: Path, name: str, needs: str | None = None) -> None:
    dependency = f"<groupId>example</groupId><artifactId>{needs}</artifactId><version>1.0</version>"
    folder = repository / "example" / name / "1.0"
    folder.mkdir(parents=True)
    (folder / f"{name}-1.0.jar").write_text(name)
    (folder / f"{name}-1.0.pom").write_text(
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        f"<groupId>example</groupId><artifactId>{name}</artifactId><version>1.0</version>"
        f"<dependencies>{f'<dependency>{dependency}</dependency>' if needs else ''}</dependencies></project>"
    )
