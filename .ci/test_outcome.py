"""A plugin of pytest for `.ci/run`: how a run of all tests ended and which failed, in the file that TEST_OUTCOME names.

pytest's own memory of what failed last (`--last-failed`) does not tell a run that was cut short from one that is
complete, and may be of another day.
"""

import json
import os
from pathlib import Path

import pytest

_OPTION = "-p test_outcome"


class Outcome:
    def __init__(self, file: Path) -> None:
        self._file = file
        self._failed: dict[str, None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed[report.nodeid] = None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._failed[report.nodeid] = None

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self._file.write_text(json.dumps({"exit_status": int(exitstatus), "failed": list(self._failed)}))


def pytest_configure(config: pytest.Config) -> None:
    """For this run only: neither its workers nor what tests start have anything to report."""
    file = os.environ.pop("TEST_OUTCOME", None)
    os.environ["PYTEST_ADDOPTS"] = os.environ.get("PYTEST_ADDOPTS", "").replace(_OPTION, "").strip()
    if file is not None:
        config.pluginmanager.register(Outcome(Path(file)))
