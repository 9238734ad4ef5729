"""What outgoing and incoming messaging share of Kafka: topics, partitioner, broker probe."""
