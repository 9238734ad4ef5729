"""What the application's login may do: everything with its rows, except to change what is append-only."""

from collections.abc import Iterable

from sqlalchemy import Connection, MetaData


def grant(connection: Connection, login: str, schemas: Iterable[MetaData]) -> None:
    """Give `login` its rights on every table, and take back UPDATE, DELETE and TRUNCATE where `info` says append-only.

    Repeating it is harmless. A login that owns the tables cannot be held by privileges; only the triggers hold it then.
    """
    role = connection.dialect.identifier_preparer.quote_identifier(login)
    statements = [
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
    ]
    for metadata in schemas:
        statements += [
            f"REVOKE UPDATE, DELETE, TRUNCATE ON {table.name} FROM {role}"
            for table in metadata.sorted_tables
            if table.info.get("append_only")
        ]
    for statement in statements:
        connection.exec_driver_sql(statement)  # `text` would take a colon in the login's name for a parameter
