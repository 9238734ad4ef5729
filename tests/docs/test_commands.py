"""Every command in a document works unchanged, and prints what the document shows."""

import argparse
import re
from pathlib import Path
from uuid import uuid4

import pytest
from common.operators.console import add_operator_commands
from docs.conftest import Checkout
from support.project.documents import DOCUMENTS, ROOT, blocks, commands, matches, run

# Languages of blocks that are not run; they contain no shell commands.
READ_ONLY = {"console", "mermaid", "json", "python", "yaml", "text", "http"}
# Commands that need more than Python, repeat other tests, never end, or stop the stack of the tests.
NOT_RUNNABLE = "|".join(
    (
        *(r"docker compose", r"export COMPOSE_PROJECT_NAME", r"deploy/smoke\.sh", r"git (pull|tag|push)", r"make"),
        *(r"cp -a \.local", r"rm -rf \.local"),
    )
)
CANNOT_RUN = re.compile(rf"(\w+=\S+ )*({NOT_RUNNABLE})\b")

DOCUMENTS_WITH_COMMANDS = [document for document in DOCUMENTS if commands(document)]


def name(value: object) -> str:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else str(value)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("document", DOCUMENTS_WITH_COMMANDS, ids=name)
def test_the_commands_of_a_document_print_what_it_shows(document: Path, checkout: Checkout) -> None:
    for block, expected, output in run(document, checkout.folder, checkout.environment):
        if expected is not None:
            assert matches(expected.text, output), f"{name(document)}:{block.line} prints:\n{output}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_block_is_run_or_has_a_reason_why_not(document: Path) -> None:
    for block in blocks(document):
        where = f"{name(document)}:{block.line}"
        assert block.language in READ_ONLY | {"bash"}, f"{where} has the language {block.language!r}"
        if block.not_run is not None:
            assert all(CANNOT_RUN.match(line) for line in block.text.splitlines()), where
    fences = sum(line.lstrip().startswith("```") for line in document.read_text().splitlines())
    assert fences == 2 * len(blocks(document)), f"{name(document)} has a block that is not found"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_inline_commands_are_commands_of_the_services(document: Path) -> None:
    parser = argparse.ArgumentParser()
    add_operator_commands(parser.add_subparsers())
    for command in re.findall(r"`(?:articurated|operate \w+) ([^`…]+)`", document.read_text()):
        words = [
            {"ID": str(uuid4()), "$JOB": str(uuid4()), "POSITION": "1"}.get(word, word) for word in command.split()
        ]
        parser.parse_args(words)  # exits for an invalid command


def test_the_output_may_differ_in_values_that_change_from_run_to_run() -> None:
    expected = "ORD-2026-000001 PAID at 2026-11-22T20:30:52Z\n...\n{...} done"
    assert matches(expected, "ORD-2027-000431 PAID at 2027-01-01T00:00:01Z\nmore\nstill more\n{} done\n")
    assert matches(expected, "ORD-2026-000001 PAID at 2026-11-22T20:30:52Z\n{1} done\n")
    assert not matches(expected, "ORD-2026-000001 SHIPPED at 2026-11-22T20:30:52Z\n{1} done\n")
    assert not matches(expected, "ORD-2026-000001 PAID at 2026-11-22T20:30:52Z\n{1} done\nand more\n")
