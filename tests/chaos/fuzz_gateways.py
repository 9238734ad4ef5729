"""Fuzz the four services of a running stack with requests that schemathesis generates from their OpenAPI documents.

    python tests/chaos/fuzz_gateways.py [--cases 20000] [--seed 7]

The requests go to both gateways and to the operators' routes of all services: valid and invalid ones, and sequences of
requests that use ids of earlier responses. It fails for a 5xx, for a status, content type, header or body that is not
in the document, for a rejected valid request, and for an accepted invalid one. Prints the number of cases, and each
failure with a command that repeats it.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from demo.own_stack import fresh_stack
from local_stack.services import SERVICES
from local_stack.stack_json import StackDescription

ROUND_TIMEOUT_SECONDS = 1500
EXAMPLES_PER_ROUND = 100
# Both gateways have most of the routes; invoicing and refunds have the operators' routes, which are the same in all.
SHARES = {"orders": 0.4, "returns": 0.3, "invoicing": 0.15, "refunds": 0.15}
# A round sends the invalid requests that schemathesis derives from a document at once, some hundred for a service.
# Fewer cases than this leave them out.
CASES_OF_A_WHOLE_ROUND = 4000
PHASES = {True: "examples,coverage,fuzzing,stateful", False: "examples,fuzzing,stateful"}


def one_round(stack: StackDescription, service: str, seed: int, examples: int, folder: Path) -> tuple[int, bool]:
    """One run of all operations of a service; the number of cases, and whether all passed."""
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run"),
        f"{stack['services'][service]['url']}/openapi.json",
        *("--header", f"X-API-Key: {stack['api_keys']['ops']}"),
        *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
        *("--phases", PHASES[examples == EXAMPLES_PER_ROUND], "--continue-on-failure", "--no-color"),
        *("--max-examples", str(examples), "--seed", str(seed)),
        *("--generation-database", "none", "--suppress-health-check", "all", "--warnings", "off"),
    ]
    schemathesis = subprocess.run(
        command,
        cwd=folder,
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": "fuzz_checks",
            "PYTHONPATH": str(Path(__file__).parent),
            "FUZZ_KEY": stack["api_keys"]["ops"],
        },
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
    total, failed = 0, []
    examples = EXAMPLES_PER_ROUND if cases >= CASES_OF_A_WHOLE_ROUND else max(1, cases // 60)
    for service in SERVICES:
        sent, number, passed = 0, 0, True
        while sent < cases * SHARES[service] and passed:
            more, passed = one_round(stack, service, seed + number, examples, folder)
            sent, number = sent + more, number + 1
            result = "no failure" if passed else "FAILED"
            print(f"{service}, seed {seed + number - 1}: {sent} cases, {result}", flush=True)
        total += sent
        failed += [] if passed else [service]
    print(f"{total} cases, failures in {', '.join(failed) or 'none of the services'}")
    return not failed


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
