"""Known weaknesses of the pinned dependencies; says so when the advisories could not be asked, rather than nothing.

With AUDIT=required that is an error, for machines that have a network.
"""

import json
import os
import subprocess
import sys


def main() -> None:
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
        sys.exit(f"NOT CHECKED: the dependency audit could not run:\n{audit.stderr[-2000:]}")
    weak = [each for each in dependencies if each.get("vulns")]
    for each in weak:
        for weakness in each["vulns"]:
            print(f"{each['name']} {each['version']}: {weakness['id']}, fixed in {weakness['fix_versions']}")
    unchecked = sum("skip_reason" in each for each in dependencies)
    print(f"dependency audit: {len(dependencies) - unchecked} checked, {len(weak)} with known weaknesses")
    if unchecked:
        print(f"NOT CHECKED: {unchecked} dependencies, because the advisory source did not know or did not answer")
    sys.exit(1 if weak or (unchecked and os.environ.get("AUDIT") == "required") else 0)


if __name__ == "__main__":
    main()
