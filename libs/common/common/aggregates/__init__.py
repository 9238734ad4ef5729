"""Storage of aggregates: counts by status and paged lists."""
