"""Audit of the pinned dependencies for known vulnerabilities: Python packages by pip-audit, Kafka's jars by OSV.

A source of advisories that does not answer is reported as NOT CHECKED. With AUDIT=required, on machines that have a
network, that is an error.
"""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

JARS = Path(__file__).parents[1] / "deploy" / "local" / "local_stack" / "kafka-jars.lock"
# https://google.github.io/osv.dev/post-v1-querybatch/
OSV = os.environ.get("OSV_URL", "https://api.osv.dev") + "/v1/querybatch"
TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Audit:
    """Result of one source: how many dependencies it checked, their vulnerabilities, why some were not checked."""

    dependencies: str
    checked: int
    vulnerabilities: tuple[str, ...] = ()
    not_checked: str | None = None


def audit_packages() -> Audit:
    command = [sys.executable, "-m", "pip_audit", "--requirement", "requirements.lock", "--require-hashes"]
    pip_audit = subprocess.run(
        [*command, "--disable-pip", "--format", "json", "--progress-spinner", "off"],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        dependencies = json.loads(pip_audit.stdout)["dependencies"]
    except (ValueError, KeyError):
        return Audit("Python packages", 0, not_checked=f"pip-audit failed: {pip_audit.stderr[-2000:]}")
    vulnerabilities = tuple(
        f"{package['name']} {package['version']}: {advisory['id']}, fixed in {', '.join(advisory['fix_versions'])}"
        for package in dependencies
        for advisory in package.get("vulns", ())
    )
    unchecked = sum("skip_reason" in each for each in dependencies)
    reason = f"{unchecked} packages: unknown to the source, or the source did not answer" if unchecked else None
    return Audit("Python packages", len(dependencies) - unchecked, vulnerabilities, reason)


def audit_jars(lock: str, url: str = OSV) -> Audit:
    jars = list(_coordinates(lock))
    queries = [{"package": {"ecosystem": "Maven", "name": name}, "version": version} for name, version in jars]
    request = urllib.request.Request(  # noqa: S310 - the address is https, or a test's
        url, json.dumps({"queries": queries}).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 - as above  # nosec B310
            results = json.load(response)["results"]
        vulnerabilities = tuple(
            f"{name} {version}: {advisory['id']}"
            for (name, version), result in zip(jars, results, strict=True)
            for advisory in result.get("vulns", ())
        )
    except (OSError, ValueError, KeyError) as error:
        return Audit("jars of Kafka", 0, not_checked=f"the source did not answer: {error}")
    return Audit("jars of Kafka", len(jars), vulnerabilities)


def _coordinates(lock: str) -> Iterator[tuple[str, str]]:
    """`group:artifact` and version of each line that is not a comment."""
    for line in lock.splitlines():
        if line and not line.startswith("#"):
            group, artifact, version = line.split()[0].split(":")[:3]
            yield f"{group}:{artifact}", version


def main() -> None:
    audits = [audit_packages(), audit_jars(JARS.read_text())]
    for audit in audits:
        for vulnerability in audit.vulnerabilities:
            print(vulnerability)
        found = len(audit.vulnerabilities)
        print(f"dependency audit, {audit.dependencies}: {audit.checked} checked, {found} with known vulnerabilities")
        if audit.not_checked is not None:
            print(f"NOT CHECKED: {audit.not_checked}")
    is_vulnerable = any(audit.vulnerabilities for audit in audits)
    is_unchecked = any(audit.not_checked is not None for audit in audits)
    sys.exit(1 if is_vulnerable or (is_unchecked and os.environ.get("AUDIT") == "required") else 0)


if __name__ == "__main__":
    main()
