"""A database of an earlier version is brought up to date, with what is in it."""

from __future__ import annotations

import orjson
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

from orchestrator.jobs import Status
from orchestrator.jobs.events import result_dict
from orchestrator.jobs.result import Result
from orchestrator.store import open_store
from orchestrator.store.tables import metadata
from tests.orchestrator.store.conftest import claim, settings_of

PARTIAL = orjson.dumps([result_dict(Result(0, "A0", 3, "Bé", None, 1))]).decode()
JOB = text(
    "INSERT INTO jobs (id, status, priority, total, batch_size, completed, failed_items, last_event,"
    " created_at, started_at, body_digest, loose)"
    " VALUES ('old', 'processing', 'normal', 2, 10, 0, 0, 0, 1.5, 2.5, '', :partial)"
)
TEXTS = '[[0,"A0","c","p","r"],[1,"A1","c","p","r"]]'
ITEMS = text("INSERT INTO items (job_id, chunk, payload) VALUES ('old', 0, :texts)")


def make_old(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", "orchestrator.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "0002")
    connection.execute(JOB, {"partial": PARTIAL})
    connection.execute(ITEMS, {"texts": TEXTS})


async def test_a_job_of_an_earlier_version_goes_on(database_url: str) -> None:
    """With the results that it had."""
    settings = settings_of(database_url)
    engine = create_async_engine(settings.database_url)
    async with engine.begin() as connection:
        await connection.run_sync(make_old)
    await engine.dispose()
    async with open_store(settings) as store:
        claimed = await claim(store, "a")
        assert (claimed.job.id, claimed.job.status, claimed.epoch) == ("old", Status.PROCESSING, 1)
        unfinished = await store.reading.unfinished(claimed.job)
        assert [one.index for one in unfinished.partial] == [0]
        await store.claims.leave("a")
        ended = await store.claims.request_cancel("old")
        assert ended is not None
        assert (ended.status, ended.completed) == (Status.CANCELLED, 1)


async def test_the_tables_are_those_that_the_code_knows(database_url: str) -> None:
    """Column by column."""
    async with open_store(settings_of(database_url)) as store, store.database.read() as connection:
        found = await connection.run_sync(
            lambda sync: {
                table: {column["name"] for column in inspect(sync).get_columns(table)}
                for table in inspect(sync).get_table_names()
            }
        )
    known = {name: set(table.columns.keys()) for name, table in metadata.tables.items()}
    assert {name: columns for name, columns in found.items() if name != "alembic_version"} == known
