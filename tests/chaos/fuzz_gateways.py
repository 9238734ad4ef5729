"""Fuzz both gateways of a running stack with requests that schemathesis generates from the OpenAPI documents.

    python tests/chaos/fuzz_gateways.py [--cases 20000] [--seed 7]

It fails for a 5xx, for a status, content type, header or body that is not in the document, for a rejected valid
request, and for an accepted invalid one. Prints the number of cases, and each failure with a command that repeats it.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from demo.own_stack import fresh_stack
from local_stack.stack_json import StackDescription

GATEWAYS = ("orders", "returns")
ROUND_TIMEOUT_SECONDS = 1500
EXAMPLES_PER_ROUND = 100


def one_round(stack: StackDescription, gateway: str, seed: int, folder: Path) -> tuple[int, bool]:
    """One run of all operations of a gateway; the number of cases, and whether all passed."""
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run"),
        f"{stack['services'][gateway]['url']}/openapi.json",
        *("--header", f"X-API-Key: {stack['api_keys']['ops']}"),
        *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
        *("--phases", "examples,coverage,fuzzing,stateful", "--continue-on-failure", "--no-color"),
        *("--max-examples", str(EXAMPLES_PER_ROUND), "--seed", str(seed)),
        *("--generation-database", "none", "--suppress-health-check", "all", "--warnings", "off"),
    ]
    schemathesis = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "fuzz_checks", "PYTHONPATH": str(Path(__file__).parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=ROUND_TIMEOUT_SECONDS,
    )
    counted = re.search(r"^ +([\d,]+) generated", schemathesis.stdout, re.MULTILINE)
    if schemathesis.returncode != 0 or counted is None:
        print(schemathesis.stdout)
    return int(counted[1].replace(",", "")) if counted else 0, schemathesis.returncode == 0


def fuzz(stack: StackDescription, cases: int, seed: int, folder: Path) -> bool:
    passed = True
    for gateway in GATEWAYS:
        sent, number = 0, 0
        while sent < cases / len(GATEWAYS) and passed:
            more, passed = one_round(stack, gateway, seed + number, folder)
            sent, number = sent + more, number + 1
            print(
                f"{gateway}, seed {seed + number - 1}: {sent} cases, {'no failure' if passed else 'FAILED'}", flush=True
            )
    return passed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    os.environ["RATE_LIMIT_PER_MINUTE"] = "0"
    with TemporaryDirectory(prefix="articurated-fuzz-") as name:
        folder = Path(name)
        with fresh_stack(folder / "stack") as stack:
            passed = fuzz(stack, arguments.cases, arguments.seed, folder)
    sys.exit(0 if passed else f"fuzzing failed; repeat with --seed {arguments.seed}")


if __name__ == "__main__":
    main()
