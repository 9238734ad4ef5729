"""What a service defines for each kind of job: one class, whose methods the worker calls."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from prometheus_client import Counter

from common.database.statements import Connection
from common.database.transactions import Pool, reading, transaction
from common.jobs import endings
from common.jobs.job import Job, Result, Schedule


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A claimed job during its work, and the database for the steps of that work: none may span a call outside."""

    job: Job
    pool: Pool

    def reading(self) -> AbstractAsyncContextManager[Connection]:
        """A read-only connection."""
        return reading(self.pool)

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """For a fact that stays true when another worker has the job."""
        return transaction(self.pool)

    @asynccontextmanager
    async def holding(self) -> AsyncIterator[Connection]:
        """A transaction during which no other worker can take the job over. Raises `LeaseLost`."""
        async with transaction(self.pool) as connection:
            await endings.hold(connection, self.job)
            yield connection


@dataclass(frozen=True, slots=True)
class Subject:
    """What a job was about: `record_key` is the Kafka key of its dead letter, `log_fields` identify it in the logs."""

    record_key: str
    log_fields: Mapping[str, object]


class JobHandler(ABC):
    """How one kind of job is done. The worker opens all transactions here, ends the job and writes its dead letter."""

    kind: str
    schedule: Schedule
    concurrency: int = 4
    # An attempt that takes longer has failed.
    timeout_seconds: float = 60
    # The failpoint between the work and the record of its result.
    failpoint: str | None = None
    # Counts the jobs that ended, by the label `outcome`: `success`, or "failed".
    counter: Counter | None = None
    success: str = "succeeded"
    success_message: str | None = None
    failure_message: str = "job failed permanently"
    failure_level: Literal["error", "critical"] = "critical"

    @abstractmethod
    async def work(self, running: RunningJob) -> Result:
        """Do the slow or outside work, once: what it returns is stored on the job first, and a later attempt does not
        call it again (ADR 0020). Only a crash between the two repeats the work.

        Raises `PermanentFailure` when a retry cannot succeed, `LeaseLost`, and anything else for a retry.
        """

    @abstractmethod
    async def on_success(self, connection: Connection, job: Job, result: Result) -> Subject | None:
        """Write what follows, in the transaction that completes the job. Returns None where nothing is to be logged."""

    @abstractmethod
    async def on_failure(self, connection: Connection, job: Job, error: str) -> Subject:
        """Write what follows from the permanent failure, in the transaction that makes the job dead."""
