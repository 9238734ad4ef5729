"""The words by which a return is found, in a table of their own (as 0004 of orders; 0004 adds those that exist)."""

from alembic import op

revision = "0003_search"
down_revision = "0002_references"

STATEMENTS = (
    """
    CREATE FUNCTION search_form(input TEXT) RETURNS SETOF TEXT
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT DISTINCT left(word, 100)
        FROM string_to_table(lower(normalize(input, NFKC) COLLATE pg_c_utf8), ' ') AS word WHERE word <> ''
    $$
    """,
    """
    CREATE FUNCTION search_terms(VARIADIC texts TEXT[]) RETURNS TSVECTOR
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT array_to_tsvector(ARRAY(SELECT search_form(array_to_string(texts, ' '))))
    $$
    """,
    """
    CREATE FUNCTION search_words(input TEXT) RETURNS TSQUERY
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT string_agg(
            '''' || replace(replace(word, '\\', '\\\\'), '''', '''''')
                || CASE WHEN length(word) > 1 THEN ''':*' ELSE '''' END,
            ' & '
        )::tsquery
        FROM search_form(input) AS word
    $$
    """,
    """
    CREATE TABLE return_search (
        id UUID NOT NULL,
        terms TSVECTOR NOT NULL,
        CONSTRAINT pk_return_search PRIMARY KEY (id)
    )
    """,
    """
    CREATE FUNCTION return_terms(order_number TEXT, customer_name TEXT, customer_email TEXT) RETURNS TSVECTOR
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT search_terms(
            order_number, split_part(order_number, '-', 3),
            customer_name, replace(customer_name, '-', ' '), customer_email
        )
    $$
    """,
    """
    CREATE FUNCTION write_return_search() RETURNS TRIGGER LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO return_search (id, terms)
        VALUES (NEW.id, return_terms(NEW.order_number, NEW.customer_name, NEW.customer_email))
        ON CONFLICT (id) DO UPDATE SET terms = EXCLUDED.terms;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER write_return_search AFTER INSERT OR UPDATE OF order_number, customer_name, customer_email ON returns
    FOR EACH ROW EXECUTE FUNCTION write_return_search()
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
