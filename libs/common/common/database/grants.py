"""Grants the application's login its privileges: all on its tables' rows, but no change of append-only tables."""

from collections.abc import Iterable

from sqlalchemy import Connection, MetaData, inspect


def grant(connection: Connection, login: str, schemas: Iterable[MetaData]) -> None:
    """Grant `login` its privileges on all tables, and revoke UPDATE, DELETE and TRUNCATE on append-only ones.

    Tables that a later revision creates are left out. Idempotent. Privileges do not restrict a login that owns the
    tables; then only the triggers protect them.
    """
    role = connection.dialect.identifier_preparer.quote_identifier(login)
    statements = [
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
    ]
    existing = inspect(connection).get_table_names()
    for metadata in schemas:
        statements += [
            f"REVOKE UPDATE, DELETE, TRUNCATE ON {table.name} FROM {role}"
            for table in metadata.sorted_tables
            if table.info.get("append_only") and table.name in existing
        ]
    for statement in statements:
        connection.exec_driver_sql(statement)  # `text` would read a colon in the login's name as a parameter
