"""The stand-alone verifier `examples/verify_audit.py` finds all five kinds of tampering and accepts what is intact."""

import os
import random
import subprocess
import sys
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from chaos.tamper_trials import KEY, START, VERIFIER, problems_of, tamper_once, verifier
from common.audit.checkpoint import SigningKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.audit.ledger import DETAILS, Ledger, random_ledger
from support.audit.tampering import KINDS, rename_the_log

ROUNDS = 20


@pytest.fixture
def ledger() -> Ledger:
    return random_ledger(random.Random(1), KEY, START)  # noqa: S311 - nothing is secret


def test_the_verifier_has_150_lines_and_imports_the_standard_library_only() -> None:
    text = VERIFIER.read_text()
    assert len(text.splitlines()) <= 150
    modules = {line.split()[1] for line in text.splitlines() if line.startswith(("import ", "from "))}
    assert modules <= set(sys.stdlib_module_names) | {"collections.abc"}


def names_of(problems: list[str]) -> list[str]:
    return [each.partition(":")[0] for each in problems]


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=list(KINDS))
def test_each_kind_of_tampering_is_found_and_named_and_an_untouched_trail_is_accepted(kind: int) -> None:
    faults = [tamper_once(kind + number * len(KINDS)) for number in range(ROUNDS)]
    assert faults == [(list(KINDS)[kind], None)] * ROUNDS


def test_an_export_verifies_after_all_texts_and_addresses_are_erased(ledger: Ledger) -> None:
    for row in ledger.rows:
        row.update(dict.fromkeys(DETAILS))
    assert problems_of(ledger.export(), ledger.kept) == []


def test_a_forged_text_without_a_salt_is_not_taken_for_an_erasure(ledger: Ledger) -> None:
    for name, value in (("details", "forged"), ("ip_address", "203.0.113.9")):
        forged = ledger.copy()
        forged.rows[0].update(dict.fromkeys(DETAILS) | {name: value})
        assert names_of(problems_of(forged.export(), ledger.kept)) == ["edited"]


def test_a_text_that_lost_its_beginning_to_its_salt_is_edited(ledger: Ledger) -> None:
    row = next(row for row in ledger.rows if row["salt"] is not None)
    row["salt"], row["details"] = row["salt"] + row["details"][:9].encode(), row["details"][9:]
    assert names_of(problems_of(ledger.export(), ledger.kept)) == ["edited"]


def test_a_log_that_was_sealed_anew_under_another_id_is_named_with_the_kept_id(ledger: Ledger) -> None:
    kept = list(ledger.kept)
    forged = ledger.copy()
    rename_the_log(forged, random.Random(1), KEY)  # noqa: S311 - nothing is secret
    found = f"rewritten: the log is {forged.log}, and there is a checkpoint of {ledger.log}"
    assert problems_of(forged.export(), kept) == [found]
    assert problems_of(forged.export(), forged.kept) == [found]


def test_checkpoints_of_another_service_may_be_in_the_folder(ledger: Ledger) -> None:
    other = random_ledger(random.Random(2), KEY, START)  # noqa: S311 - nothing is secret
    other.log = ledger.log.replace("/workshop/", "/kiln/")
    other.seal(KEY)
    assert problems_of(ledger.export(), [*ledger.kept, other.kept[-1]]) == []


def test_of_two_checkpoints_of_one_size_the_false_one_is_named(ledger: Ledger) -> None:
    false = ledger.copy()
    false.leaves[-1]["hash"] = bytes(32)
    for kept in ([*ledger.kept, false.checkpoint(KEY)], [false.checkpoint(KEY), *ledger.kept]):
        assert names_of(problems_of(ledger.export(), kept)) == ["rewritten"]


class CountedNote:
    """Counts how often it is looked at."""

    looks = 0

    def __init__(self, text: str) -> None:
        self._note = verifier.Note(text)

    def __getattr__(self, name: str) -> Any:
        CountedNote.looks += 1
        return getattr(self._note, name)


def test_each_checkpoint_is_looked_at_some_times_however_many_there_are() -> None:
    ledger = Ledger(START)
    for number in range(100):
        ledger.change(UUID(int=number), "MADE", {})
        ledger.seal(None)
    assert list(verifier.verify(ledger.export(), [CountedNote(note) for note in ledger.kept])) == []
    assert len(ledger.kept) < CountedNote.looks < 12 * len(ledger.kept)


def test_an_export_that_ends_at_any_line_is_incomplete(ledger: Ledger) -> None:
    lines = ledger.export()
    for end in range(1, len(lines)):
        assert problems_of(lines[:end], ledger.kept), end


def test_an_older_export_does_not_satisfy_a_later_checkpoint(ledger: Ledger) -> None:
    older = ledger.export()
    ledger.change(ledger.rows[0]["entity_id"], "SOLD", {})
    ledger.seal(KEY)
    assert any(each.startswith("rewritten: the log ends before") for each in problems_of(older, ledger.kept))


def test_a_checkpoint_of_another_key_is_refused(ledger: Ledger) -> None:
    forged = ledger.checkpoint(SigningKey(b64encode(bytes(32)).decode()))
    assert any(each.startswith("signature: ") for each in problems_of(ledger.export(), [forged]))


def test_a_row_that_the_sealer_never_sealed_is_found_an_hour_later(ledger: Ledger) -> None:
    vase = ledger.rows[0]["entity_id"]
    ledger.change(vase, "SOLD", {})
    assert problems_of(ledger.export(), ledger.kept) == []
    ledger.rows[-1]["created_at"] = ledger.now.replace(hour=1)
    assert any(each.startswith(f"unsealed: VASE {vase}") for each in problems_of(ledger.export(), ledger.kept))


def test_without_a_checkpoint_nothing_is_proven(ledger: Ledger) -> None:
    ledger.note = None
    assert any("there is no checkpoint" in each for each in problems_of(ledger.export(), []))


def test_signatures_are_judged_as_the_library_judges_them() -> None:
    for number in range(8):
        key, message = Ed25519PrivateKey.from_private_bytes(os.urandom(32)), os.urandom(number * 7)
        public, signature = key.public_key().public_bytes_raw(), key.sign(message)
        assert verifier.is_signature(public, message, signature)
        changed = bytearray(signature)
        changed[number * 8 % 64] ^= 1
        with suppress(ValueError):  # not a point of the curve
            assert not verifier.is_signature(public, message, bytes(changed))
        assert not verifier.is_signature(public, message + b"!", signature)


def test_the_signature_of_rfc_8032_is_valid() -> None:
    """Test 3 of section 7.1."""
    public = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
    signature = bytes.fromhex(
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )
    assert verifier.is_signature(public, bytes.fromhex("af82"), signature)


def test_the_command_prints_the_problems_and_fails(ledger: Ledger, tmp_path: Path) -> None:
    export, checkpoints = tmp_path / "export.ndjson", tmp_path / "checkpoints" / "2026-11-29"
    checkpoints.mkdir(parents=True)
    for number, note in enumerate(ledger.kept):
        checkpoints.joinpath(f"{number}.txt").write_text(note)
    command = [sys.executable, str(VERIFIER), str(export), "--key", KEY.public, "--checkpoints", str(tmp_path)]

    export.write_text("\n".join(ledger.export()))
    intact = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (intact.returncode, intact.stdout, intact.stderr) == (0, "", "")

    ledger.rows[0]["new_state"] = "FORGED"
    export.write_text("\n".join(ledger.export()))
    forged = subprocess.run(command, capture_output=True, text=True, check=False)
    assert forged.returncode == 1
    assert forged.stdout.startswith("edited: VASE ")

    export.write_text("no JSON")
    damaged = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (damaged.returncode, damaged.stdout) == (1, "")
    assert damaged.stderr.startswith("export: it cannot be read")
