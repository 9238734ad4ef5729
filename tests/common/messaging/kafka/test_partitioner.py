"""The partitioner agrees with other Kafka clients about the partition of a key."""

from aiokafka.partitioner import murmur2 as reference
from common.messaging.kafka.partitioner import murmur2, partition_of
from hypothesis import given
from hypothesis import strategies as st


@given(st.binary(max_size=80))
def test_keys_are_hashed_as_by_kafkas_own_clients(key: bytes) -> None:
    assert murmur2(key) == reference(key)


def test_the_events_of_an_order_have_one_partition() -> None:
    assert partition_of("01a2045d-c728-71a0-b32f-ff4c306c7114", 12) == 7
