"""The summary page of a CI run."""

from pathlib import Path

from support.project.ci_scripts import ci_script

job_summary = ci_script("job_summary")

JUNIT = """<?xml version="1.0"?><testsuites><testsuite name="pytest" errors="0" failures="1" skipped="2" tests="1801"
time="301.5"><testcase classname="tests.orders.test_placing" name="test_a_new_order"><failure>no</failure></testcase>
<testcase classname="tests.orders.test_placing" name="test_another"/></testsuite></testsuites>"""
CHECK = """everything: 96.3 % of 90 %
state machines: 100.0 % of 100 %
secret scan: 512 files, 0 that look like secrets
dependency audit, Python packages: 170 checked, 0 with known vulnerabilities
NOT CHECKED: the source did not answer
"""
KILLS = """seed 7, 4 runs
without a kill, an order takes 0.51 s
  1  orders relay         killed after 0.20 s, done in   1.2 s: INV-2026-000004, 1 mail(s), re_1
4 of 4 runs complete, 4 different processes killed, each with one invoice and one refund; 0 e-mail(s) sent again
"""


def test_the_summary_has_a_table_of_tests_coverage_checks_and_kill_runs(tmp_path: Path) -> None:
    for name, text in {"tests.xml": JUNIT, "check.txt": CHECK, "kill-runs.txt": KILLS}.items():
        (tmp_path / name).write_text(text)
    page = job_summary.summary(tmp_path)
    assert "| 1801 | 1 | 0 | 2 | 302 |" in page
    assert "- failed: `tests.orders.test_placing::test_a_new_order`" in page
    assert "| state machines | 100.0 % | 100 % |" in page
    assert "| dependency audit, Python packages: 170 checked, 0 with known vulnerabilities |" in page
    assert "| NOT CHECKED: the source did not answer |" in page
    assert "| 4 of 4 runs complete" in page


def test_a_missing_report_is_named(tmp_path: Path) -> None:
    page = job_summary.summary(tmp_path)
    assert [f"No report {name}." in page for name in ("tests.xml", "check.txt", "kill-runs.txt")] == [True] * 3
