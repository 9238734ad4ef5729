"""A complete stack without data, as `make up` runs it."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from demo.own_stack import fresh_stack
from local_stack.stack_json import StackDescription

# The environment variable by which a process is told to measure its coverage.
MEASURED = "COVERAGE_PROCESS_CONFIG"


@dataclass(frozen=True, slots=True)
class RunningStack:
    folder: Path
    description: StackDescription


@contextmanager
def new_stack(settings: Mapping[str, str], folder: Path | None = None) -> Iterator[RunningStack]:
    """Run a stack during the block. `settings` are environment variables.

    Coverage does not measure its processes, as that makes them slower by half: other tests execute the same lines in
    their own process.
    """
    with (
        TemporaryDirectory(prefix="articurated-stack-", ignore_cleanup_errors=True) as temporary,
        ExitStack() as running,
    ):
        data = folder or Path(temporary) / "stack"
        with pytest.MonkeyPatch.context() as environment:  # for the start only: other tests' processes are measured
            environment.delenv(MEASURED, raising=False)
            stack = fresh_stack(data, **{"RATE_LIMIT_PER_MINUTE": "0", **settings})
            description = running.enter_context(stack)
        yield RunningStack(data, description)
