"""What a service defines for each kind of job: one class, whose methods the worker calls."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from prometheus_client import Counter

from common.database.statements import Connection
from common.jobs.job import Job


@dataclass(frozen=True, slots=True)
class Subject:
    """What a job was about: `record_key` is the Kafka key of its dead letter, `log_fields` identify it in the logs."""

    record_key: str
    log_fields: Mapping[str, object]


class JobHandler(ABC):
    """How one kind of job is done. The worker opens all transactions here, ends the job and writes its dead letter."""

    kind: str
    # The waits after the first, second, … failure, in retry units (a minute, unless the setting says otherwise).
    retry_delays: tuple[int, ...]
    concurrency: int = 4
    # An attempt that takes longer has failed.
    timeout_seconds: float = 60
    # A repeat of `work` finds what an earlier one did. Its result is then stored only if the transaction that ends the
    # job fails: one statement less for each job.
    finds_earlier_work: bool = False
    # The failpoint between the work and the storing of its result.
    failpoint: str | None = None
    # Counts the jobs that ended, by the label `outcome`: `success`, or "failed".
    counter: Counter | None = None
    success: str = "succeeded"
    success_message: str | None = None
    failure_message: str = "job failed permanently"
    failure_level: Literal["error", "critical"] = "critical"

    def retry_delay(self, failures: int, unit_seconds: float) -> timedelta | None:
        """How long to wait after this many failures; None when that was the last attempt."""
        delays = self.retry_delays
        return timedelta(seconds=delays[failures - 1] * unit_seconds) if failures <= len(delays) else None

    def counted_as(self, result: Mapping[str, object]) -> str | None:
        """The label `outcome` under which `counter` counts a job that is done with this result; None: not at all."""
        return self.success

    def places(self) -> int:
        """How many jobs of this kind a worker may run now; with 0, none is claimed."""
        return self.concurrency

    @abstractmethod
    async def work(self, job: Job) -> Mapping[str, object]:
        """Do the slow or outside work, once. The JSON object that it returns is stored as the job's result first, and
        a later attempt does not call it again (ADR 20). Only a crash between the two repeats the work.

        Raises `PermanentFailure` when a retry cannot succeed, `Postponed` when it cannot be done yet, `LeaseLost`, and
        anything else for a retry.
        """

    @abstractmethod
    async def on_success(self, connection: Connection, job: Job) -> Subject | None:
        """Write what follows from `job.result`, in the transaction that completes the job. None: nothing is logged."""

    @abstractmethod
    async def on_failure(self, connection: Connection, job: Job, error: str) -> Subject:
        """Write what follows from the permanent failure, in the transaction that makes the job dead."""
