"""Lists of jobs are read from indexes, also from cached plans."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from common.database.transactions import Pool
from common.jobs import control
from common.jobs.filters import JobFilter
from common.operators import job_queries
from common.paging import Paging
from common.text.causes import UNCLASSIFIED
from support.postgres.databases import Database

COLD = "the kiln is cold"
ROWS = 30_000
# Nearly all are done, and a few of each kind are in every other state.
FILL = """
INSERT INTO jobs (id, kind, business_key, payload, traceparent, state, created_at, finished_at, last_error, cause,
                  failed_at)
SELECT gen_random_uuid(), (ARRAY['fire', 'glaze', 'pack'])[1 + number % 3], number, jsonb_build_object('of', $2::text),
       't', state, now() - number * interval '1 s', CASE WHEN state IN ('done', 'dead', 'discarded') THEN now() END,
       error, coalesce(error, ''), CASE WHEN error IS NOT NULL THEN now() END
FROM (
    SELECT number, state, CASE WHEN state <> 'done' AND number % 7 < 5 THEN 'the kiln is cold' END AS error
    FROM generate_series(1, $1) number,
         LATERAL (SELECT CASE WHEN number % 100 < 96 THEN 'done'
                              ELSE (ARRAY['ready', 'running', 'dead', 'discarded'])[number % 100 - 95] END AS state) _
) AS job
"""
STATES = (None, "ready", "running", "dead", "done", "discarded")


def literal(value: object) -> str:
    """As the text of a parameter, of whatever type."""
    text = "{" + ",".join(map(str, value)) + "}" if isinstance(value, list) else str(value)
    return "'" + text.replace("'", "''") + "'"


async def blocks_read(owner: asyncpg.Connection, query: str, arguments: Sequence[object]) -> int:
    """Run the statement with a generic plan, which PostgreSQL caches and makes without the values of the parameters."""
    await owner.execute(f"SET plan_cache_mode = force_generic_plan; PREPARE listed AS {query}")
    values = f"({', '.join(map(literal, arguments))})" if arguments else ""
    document = await owner.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE listed{values}")
    await owner.execute("DEALLOCATE listed")
    plan: dict[str, Any] = document[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def run_all(connection: Any) -> None:
    for state in STATES:
        for kind in (None, "glaze"):
            for cause in (None, COLD, UNCLASSIFIED):
                await job_queries.list_jobs(connection, state, kind, None, cause, Paging(20))
            await job_queries.list_jobs(connection, state, kind, "4711", None, Paging(20))
    ids: list[UUID] = [uuid4(), uuid4()]
    for state in ("ready", "dead", "discarded"):
        for chosen in (
            *(JobFilter(state, kind="glaze"), JobFilter(state, cause=COLD), JobFilter(state, ids=ids)),
            *(JobFilter(state, kind="glaze", cause=COLD), JobFilter(state, cause="", ids=ids)),
        ):
            await control.select(connection, chosen)
            await control.count(connection, chosen)


@pytest.mark.timeout(120)
async def test_no_list_of_jobs_reads_the_whole_table(database: Database, pool: Pool) -> None:
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        await owner.set_type_codec("json", schema="pg_catalog", decoder=json.loads, encoder=str)
        await owner.execute(FILL.replace("$1", str(ROWS)).replace("$2", f"'{'x' * 500}'"))
        await owner.execute("VACUUM ANALYZE jobs")
        pages = await owner.fetchval("SELECT pg_relation_size('jobs') / 8192")
        queries: list[Any] = []
        async with pool.acquire() as connection:
            with connection.query_logger(queries.append):
                await run_all(connection)
        read = {(each.query, str(each.args)): await blocks_read(owner, each.query, each.args) for each in queries}
        assert len(read) > 60
        assert {where: blocks for where, blocks in read.items() if blocks > pages / 2} == {}
    finally:
        await owner.close()
