"""PostgreSQL: connections and transactions, statements, the common tables and their migrations."""
