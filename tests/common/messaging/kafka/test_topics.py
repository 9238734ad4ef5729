"""Topics are created once, with their partitions."""

from common.messaging.kafka.topics import create_topics
from support.kafka.topics import MakeTopic, Topics
from support.waiting import eventually


async def test_topics_are_created_once_and_keep_their_partitions(kafka: str, make_topic: MakeTopic) -> None:
    existing = await make_topic(partitions=3)
    new = f"{existing}-new"

    assert await create_topics(kafka, [existing, new], partitions=12) == [new]

    await eventually(lambda: Topics(kafka).partitions(new))
    assert await Topics(kafka).partitions(new) == 12
    assert await Topics(kafka).partitions(existing) == 3
