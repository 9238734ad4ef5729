"""The embedded stack: the whole system on one machine, with PostgreSQL and Apache Kafka from Python packages."""
