"""The whole system on one machine, from Python packages alone: real PostgreSQL, real Apache Kafka, every role."""
