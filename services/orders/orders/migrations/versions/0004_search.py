"""The words by which an order is found, in a table of their own.

A change of state would write them again in every index of the table of orders. A trigger writes them, so that orders
of the previous version of the service are found too; 0005 adds those that exist. The lock for the trigger is short, as
this transaction reads no orders.
"""

from alembic import op

revision = "0004_search"
down_revision = "0003_references"

STATEMENTS = (
    # Words in one form: compatibility characters and case are folded, independently of the database's locale. Long
    # words are cut, as PostgreSQL accepts none above 2 kB.
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
    # All words, each as the beginning of a term; a single letter is a whole term.
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
    CREATE TABLE order_search (
        id UUID NOT NULL,
        terms TSVECTOR NOT NULL,
        CONSTRAINT pk_order_search PRIMARY KEY (id)
    )
    """,
    """
    CREATE FUNCTION order_terms(order_number TEXT, customer_name TEXT, customer_email TEXT) RETURNS TSVECTOR
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT search_terms(
            order_number, split_part(order_number, '-', 3),
            customer_name, replace(customer_name, '-', ' '), customer_email
        )
    $$
    """,
    """
    CREATE FUNCTION write_order_search() RETURNS TRIGGER LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO order_search (id, terms)
        VALUES (NEW.id, order_terms(NEW.order_number, NEW.customer_name, NEW.customer_email))
        ON CONFLICT (id) DO UPDATE SET terms = EXCLUDED.terms;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER write_order_search AFTER INSERT OR UPDATE OF order_number, customer_name, customer_email ON orders
    FOR EACH ROW EXECUTE FUNCTION write_order_search()
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
