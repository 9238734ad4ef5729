"""The rarest word of a search, by which the index is read.

An index entry is compared with a word's beginning only after all entries with that beginning are collected: `ada n12`
collected a million returns for `ada`. The previous version of the service continues to work: it does not call this.
"""

from alembic import op

revision = "0009_rarest_word"
down_revision = "0008_refund_states_online"

STATEMENT = """
    CREATE FUNCTION rarest_search_word(input TEXT, searched TEXT) RETURNS TSQUERY
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
    DECLARE
        words TEXT[] := ARRAY(SELECT search_form(input));
    BEGIN
        IF cardinality(words) < 2 THEN
            RETURN search_words(input);
        END IF;
        RETURN (
            WITH common AS (
                SELECT term, share
                FROM pg_stats AS statistics,
                    unnest(statistics.most_common_elems::text::text[], statistics.most_common_elem_freqs)
                    AS elements (term, share)
                WHERE schemaname = current_schema() AND tablename = searched AND attname = 'terms'
            )
            SELECT search_words(word)
            FROM unnest(words) AS word
            ORDER BY (SELECT coalesce(sum(share), 0) FROM common WHERE starts_with(term, word)), length(word) DESC
            LIMIT 1
        );
    END $$
"""


def upgrade() -> None:
    op.execute(STATEMENT)
