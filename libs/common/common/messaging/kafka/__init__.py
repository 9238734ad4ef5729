"""Kafka for publishers and consumers alike: topics, partitioner, health check."""
