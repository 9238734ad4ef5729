"""Known weaknesses of what is pinned: the Python packages by pip-audit, Kafka's jars by OSV's database.

Says so when an advisory source does not answer: that is no pass. With AUDIT=required it is an error, for machines that
have a network.
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
ANSWER_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Audit:
    """What one source says: how many dependencies it knows, their weaknesses, and why some were not checked."""

    of: str
    checked: int
    weaknesses: tuple[str, ...] = ()
    not_checked: str | None = None


def audit_packages() -> Audit:
    command = [sys.executable, "-m", "pip_audit", "--requirement", "requirements.lock", "--require-hashes"]
    audit = subprocess.run(
        [*command, "--disable-pip", "--format", "json", "--progress-spinner", "off"],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        dependencies = json.loads(audit.stdout)["dependencies"]
    except (ValueError, KeyError):
        return Audit("Python packages", 0, not_checked=f"pip-audit failed: {audit.stderr[-2000:]}")
    weaknesses = tuple(
        f"{each['name']} {each['version']}: {weakness['id']}, fixed in {', '.join(weakness['fix_versions']) or '-'}"
        for each in dependencies
        for weakness in each.get("vulns", ())
    )
    unchecked = sum("skip_reason" in each for each in dependencies)
    reason = f"{unchecked} packages: the source did not know them or did not answer" if unchecked else None
    return Audit("Python packages", len(dependencies) - unchecked, weaknesses, reason)


def audit_jars(lock: str, url: str = OSV) -> Audit:
    jars = list(_coordinates(lock))
    queries = [{"package": {"ecosystem": "Maven", "name": name}, "version": version} for name, version in jars]
    request = urllib.request.Request(  # noqa: S310 - the address is https, or a test's
        url, json.dumps({"queries": queries}).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - as above  # nosec B310
            results = json.load(answer)["results"]
        weaknesses = tuple(
            f"{name} {version}: {weakness['id']}"
            for (name, version), result in zip(jars, results, strict=True)
            for weakness in result.get("vulns", ())
        )
    except (OSError, ValueError, KeyError) as error:
        return Audit("jars of Kafka", 0, not_checked=f"the source did not answer: {error}")
    return Audit("jars of Kafka", len(jars), weaknesses)


def _coordinates(lock: str) -> Iterator[tuple[str, str]]:
    """`group:artifact` and version of each line; comments begin with `#`."""
    for line in lock.splitlines():
        if line and not line.startswith("#"):
            group, artifact, version = line.split()[0].split(":")[:3]
            yield f"{group}:{artifact}", version


def main() -> None:
    audits = [audit_packages(), audit_jars(JARS.read_text())]
    for audit in audits:
        for weakness in audit.weaknesses:
            print(weakness)
        print(f"dependency audit, {audit.of}: {audit.checked} checked, {len(audit.weaknesses)} with known weaknesses")
        if audit.not_checked is not None:
            print(f"NOT CHECKED: {audit.not_checked}")
    is_weak = any(audit.weaknesses for audit in audits)
    is_unchecked = any(audit.not_checked is not None for audit in audits)
    sys.exit(1 if is_weak or (is_unchecked and os.environ.get("AUDIT") == "required") else 0)


if __name__ == "__main__":
    main()
