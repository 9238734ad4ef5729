"""Fold the words of a search once (as 0009 of orders).

`rarest_search_word` passed folded words to `search_words`, which folded them again. The lower case of a letter may be
one that composes with the accent behind it: of `H\\u0331asan Ali`, the first word was not found. The previous version
of the service continues to work: the functions that it calls have the same names.
"""

from alembic import op

revision = "0010_folded_words"
down_revision = "0009_rarest_word"

STATEMENTS = (
    # All words, each as the beginning of a term; a single letter is a whole term. They are folded already.
    """
    CREATE FUNCTION folded_words(words TEXT[]) RETURNS TSQUERY
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT string_agg(
            '''' || replace(replace(word, '\\', '\\\\'), '''', '''''')
                || CASE WHEN length(word) > 1 THEN ''':*' ELSE '''' END,
            ' & '
        )::tsquery
        FROM unnest(words) AS word
    $$
    """,
    """
    CREATE OR REPLACE FUNCTION search_words(input TEXT) RETURNS TSQUERY
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT folded_words(ARRAY(SELECT search_form(input)))
    $$
    """,
    """
    CREATE OR REPLACE FUNCTION rarest_search_word(input TEXT, searched TEXT) RETURNS TSQUERY
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
    DECLARE
        words TEXT[] := ARRAY(SELECT search_form(input));
    BEGIN
        IF cardinality(words) < 2 THEN
            RETURN folded_words(words);
        END IF;
        RETURN (
            WITH common AS (
                SELECT term, share
                FROM pg_stats AS statistics,
                    unnest(statistics.most_common_elems::text::text[], statistics.most_common_elem_freqs)
                    AS elements (term, share)
                WHERE schemaname = current_schema() AND tablename = searched AND attname = 'terms'
            )
            SELECT folded_words(ARRAY[word])
            FROM unnest(words) AS word
            ORDER BY (SELECT coalesce(sum(share), 0) FROM common WHERE starts_with(term, word)), length(word) DESC
            LIMIT 1
        );
    END $$
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
