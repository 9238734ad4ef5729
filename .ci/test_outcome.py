"""Plugin of pytest for `.ci/run`: writes the exit status and the failed tests to the file named by TEST_OUTCOME.

The cache of `--last-failed` does not distinguish an interrupted run from a complete one, and may be of an earlier run.
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
    """Register the plugin in this process only, not in its workers or in the runs of pytest that tests start."""
    file = os.environ.pop("TEST_OUTCOME", None)
    os.environ["PYTEST_ADDOPTS"] = os.environ.get("PYTEST_ADDOPTS", "").replace(_OPTION, "").strip()
    if file is not None:
        config.pluginmanager.register(Outcome(Path(file)))
