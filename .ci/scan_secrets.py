"""Scan files for keys and passwords: those that are named, or all under version control.

    python .ci/scan_secrets.py [FILE …]

Prints how many files it scanned, so that an empty list does not pass.
"""

import json
import subprocess
import sys

# Lock files: the hashes of packages look like secrets.
EXCLUDED = [r"\.lock$"]
# Values in tests and documents that are no secrets; the last ones are published test vectors (RFC 9162, RFC 8032). The
# whole value must match.
NO_SECRETS = (
    r"^(hush|nothing|password|secret(%ff|%00)?|p@:/\?#%& wörd .*|setup .*|not for production.*"
    r"|whsec_(refund_trials|test|route|examples)|ops\.the-secret-of-a-test|0f|5b|4bf92f3577b34da6a3ce929d0e0e4736|9f86d081[0-9a-f]{56}"
    r"|(5dc9da79|fc51cd8e|6291d657|18ff9b53)[0-9a-f]{56}"
    r"|11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\\?|n4bQgYhMfWWaL\+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=)$"
)


def main() -> None:
    files = sys.argv[1:] or files_under_version_control()
    command = [sys.executable, "-m", "detect_secrets.pre_commit_hook", "--json", "--exclude-secrets", NO_SECRETS]
    command += [argument for pattern in EXCLUDED for argument in ("--exclude-files", pattern)]
    scan = subprocess.run([*command, *files], capture_output=True, check=False, text=True)
    findings = json.loads(scan.stdout)["results"] if scan.returncode == 1 else {}
    if scan.returncode not in (0, 1) or not files:
        sys.exit(f"NOT CHECKED: the secret scan failed:\n{scan.stdout[-2000:]}{scan.stderr[-2000:]}")
    for path, secrets in findings.items():
        for each in secrets:
            print(f"{path}:{each['line_number']}: {each['type']}")
    print(f"secret scan: {len(files)} files, {sum(map(len, findings.values()))} that look like secrets")
    sys.exit(1 if findings else 0)


def files_under_version_control() -> list[str]:
    listing = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True, text=True)  # noqa: S607
    return [*filter(None, listing.stdout.split("\0"))]


if __name__ == "__main__":
    main()
