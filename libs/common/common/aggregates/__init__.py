"""Storage of aggregates: the table, changes in one statement, reading, paged lists, counts by status."""
