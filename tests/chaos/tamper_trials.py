"""Seeded trials: each tampers with an audit trail in one of five ways, and the stand-alone verifier must find it.

make tamper-trials TRIALS=10000 SEED=7
"""

import argparse
import random
import sys
import time
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from common.audit.checkpoint import SigningKey
from support.audit.ledger import random_ledger
from support.audit.tampering import KINDS, NAMES, rename_the_log, rewrite_the_log

KEY = SigningKey(b64encode(bytes(range(32))).decode())
START = datetime(2026, 11, 29, 12, tzinfo=UTC)
VERIFIER = Path(__file__).parents[2] / "examples" / "verify_audit.py"


def load_verifier() -> Any:
    """The module `examples/verify_audit.py`, which belongs to no package."""
    spec = spec_from_file_location("verify_audit", VERIFIER)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(VERIFIER)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


verifier = load_verifier()


def problems_of(lines: Iterable[str], kept: Iterable[str]) -> list[str]:
    notes = [verifier.Note(note) for note in kept]
    return list(verifier.verify(lines, notes, b64decode(KEY.public)))


def tamper_once(seed: int) -> tuple[str, str | None]:
    """The kind, and what went wrong: an untouched trail is refused, or the tampering is not found or not named."""
    chance = random.Random(seed)
    kind = list(KINDS)[seed % len(KINDS)]
    ledger = random_ledger(chance, KEY, START)
    if found := problems_of(ledger.export(with_details=chance.random() < 0.8), ledger.kept):
        return kind, f"an untouched trail has problems: {found}"
    forged = ledger.copy()
    entity_id = KINDS[kind](forged, chance)
    is_rewritten = chance.random() < 0.5
    if is_rewritten and chance.random() < 0.5:
        rewrite_the_log(forged, chance)
    elif is_rewritten:
        rename_the_log(forged, chance, KEY)
    found = problems_of(forged.export(), forged.kept)
    if not found:
        return kind, "it is not found"
    names = {each.partition(":")[0] for each in found if is_rewritten or str(entity_id) in each}
    if names & (NAMES[kind] | ({"rewritten"} if is_rewritten else set())):
        return kind, None
    return kind, f"it has another name: {found}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    start, found, missed = time.monotonic(), Counter[str](), []
    for seed in range(options.seed, options.seed + options.trials):
        kind, fault = tamper_once(seed)
        if fault is None:
            found[kind] += 1
        else:
            missed.append(f"seed {seed}, {kind}: {fault}")
    sys.stdout.write("".join(f"{kind:13} {number}\n" for kind, number in found.items()))
    sys.stdout.write("".join(f"{each}\n" for each in missed[:20]))
    seconds = time.monotonic() - start
    sys.stdout.write(f"{sum(found.values())} of {options.trials} found, in {seconds:.0f} s\n")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
