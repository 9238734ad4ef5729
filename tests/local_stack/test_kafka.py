"""The embedded Apache Kafka of `make up` and of the other tests."""

from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition
from local_stack.kafka import Kafka, start_cluster
from local_stack.server import StartError

TOPIC = "order-events"


@pytest.mark.parametrize("end", [Kafka.stop, Kafka.kill])
async def test_acknowledged_records_survive_a_stop_and_a_kill(tmp_path: Path, end: Callable[[Kafka], None]) -> None:
    with Kafka(tmp_path / "kafka") as broker:
        await create_topic(broker.bootstrap)
        await produce(broker.bootstrap, b"order.placed")
        end(broker)
        assert not broker.is_ready()
        broker.start()
        assert await read_first(broker.bootstrap) == b"order.placed"


@pytest.mark.slow
async def test_one_of_three_brokers_may_be_killed(tmp_path: Path) -> None:
    brokers = start_cluster(tmp_path)
    try:
        addresses = ",".join(broker.bootstrap for broker in brokers)
        await create_topic(addresses, copies=3)
        await produce(addresses, b"order.placed")
        brokers[0].kill()
        await produce(addresses, b"order.paid")
        assert await read_first(addresses) == b"order.placed"
    finally:
        for broker in brokers:
            broker.stop()


def test_a_failed_start_shows_the_brokers_log(tmp_path: Path) -> None:
    (tmp_path / "kafka" / "data").mkdir(parents=True)
    (tmp_path / "kafka" / "data" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=other\n")
    with pytest.raises(StartError, match="Stored node id 7"):
        Kafka(tmp_path / "kafka").start()


def test_kafka_listens_on_this_machine_only(tmp_path: Path) -> None:
    with Kafka(tmp_path / "kafka") as broker:
        tables = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
        addresses = [line.split()[1] for line in tables.splitlines()]
        for port in (broker.port, broker.controller_port):
            hosts = {address.split(":")[0] for address in addresses if address.endswith(f":{port:04X}")}
            assert hosts <= {"0100007F", "0000000000000000FFFF00000100007F"}, hosts


async def create_topic(bootstrap: str, copies: int = 1) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(TOPIC, num_partitions=1, replication_factor=copies)])
    finally:
        await admin.close()


async def produce(bootstrap: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        await producer.send_and_wait(TOPIC, value)


async def read_first(bootstrap: str) -> bytes | None:
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        partition = TopicPartition(TOPIC, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        return (await consumer.getone()).value  # type: ignore[no-any-return]
