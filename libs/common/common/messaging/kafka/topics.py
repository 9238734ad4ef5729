"""Creates Kafka topics. Which topics there are, the services say in their `events.py`."""

from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

_MILLISECONDS_PER_DAY = 86_400_000


async def create_topics(
    bootstrap: str, names: Iterable[str], *, partitions: int = 12, retention_days: float = 90, replication: int = 1
) -> list[str]:
    """Create the topics that do not exist yet, and return their names; one that exists is left as it is.

    In particular it never gets more partitions: that would send a key's next events to another partition, and their
    order would be lost. Raises `KafkaError` when the broker cannot be reached or refuses.
    """
    settings = {
        "retention.ms": str(round(retention_days * _MILLISECONDS_PER_DAY)),
        # With three copies a write counts once two have it: one broker may be lost with what it alone had.
        "min.insync.replicas": "2" if replication >= 3 else "1",
    }
    new = [NewTopic(name, partitions, replication, topic_configs=settings) for name in names]
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap.split(","), request_timeout_ms=10_000)
    try:
        await admin.start()
        answer = (await admin.create_topics(new)).to_object()
    finally:
        await admin.close()
    return [topic["topic"] for topic in answer["topic_errors"] if _was_created(topic)]


def _was_created(topic: dict[str, object]) -> bool:
    error = for_code(topic["error_code"])
    if error is TopicAlreadyExistsError:
        return False
    if topic["error_code"] != 0:
        raise error(f"topic {topic['topic']}: {topic.get('error_message')}")
    return True
