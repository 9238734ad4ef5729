"""The commands in documents, and the output that documents show.

A ```bash block is run unchanged. A ```console block shows the output of the ```bash block before it: `...` matches any
text, on a separate line any lines; ids, order numbers, times and ports may differ. A block that cannot be run has
`<!-- not run: the reason -->` above it.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted(
    each for folders in (".", "docs/**", "deploy/*", "examples") for each in ROOT.glob(f"{folders}/*.md")
)

_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^>]+) -->\n\n?)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_MARK = "--- block {} ---"
# Values that differ from run to run.
_VARYING = (
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    r"(?:ORD|INV)-\d{4}-\d{6,}",
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)",
    r"127\.0\.0\.1:\d+",
)
_PLACE = re.compile("|".join(f"({each})" for each in (*_VARYING, r"\.\.\.")))


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; `not_run` is the reason why it is not run."""

    language: str
    text: str
    line: int
    not_run: str | None


def blocks(document: Path) -> list[Block]:
    text = document.read_text()
    return [
        Block(each["language"], each["text"], text[: each.start("language")].count("\n") + 1, each["reason"])
        for each in _BLOCK.finditer(text)
    ]


def commands(document: Path) -> list[tuple[Block, Block | None]]:
    """Each block that is run, with the block of its output. Raises `ValueError` for output without a command."""
    pairs: list[tuple[Block, Block | None]] = []
    previous: Block | None = None
    for block in blocks(document):
        if block.language == "bash" and block.not_run is None:
            pairs.append((block, None))
        elif block.language == "console":
            if previous is None or previous.language != "bash":
                raise ValueError(f"{document.name}:{block.line} shows the output of no command")
            if previous.not_run is None:
                pairs[-1] = (previous, block)
        previous = block
    return pairs


def run(document: Path, folder: Path, environment: Mapping[str, str]) -> Iterator[tuple[Block, Block | None, str]]:
    """Run the document's commands in one bash, which ends at the first failure, and yield the output of each block.

    Raises `AssertionError` naming the block that failed.
    """
    pairs = commands(document)
    script = "".join(f"echo; echo '{_MARK.format(block.line)}'\n{block.text}" for block, _ in pairs)
    process = subprocess.run(
        ["/usr/bin/env", "bash", "-euc", script],
        stdin=subprocess.DEVNULL,
        cwd=folder,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
    for block, output_block in pairs:
        _, mark, rest = process.stdout.partition(f"{_MARK.format(block.line)}\n")
        assert mark, f"{document.name}: a block before line {block.line} failed:\n{process.stdout[-2000:]}"
        yield block, output_block, re.split(r"\n--- block \d+ ---\n", rest)[0]
    assert process.returncode == 0, f"{document.name}: the last block failed:\n{process.stdout[-2000:]}"


def matches(expected: str, output: str) -> bool:
    """Whether the output equals what the document shows, except for values that differ from run to run."""
    return re.fullmatch(_pattern(_trimmed(expected)), _trimmed(output)) is not None


def _trimmed(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.strip().splitlines())


def _pattern(expected: str) -> str:
    return "".join(
        r"(?:.*\n)*?" if line == "...\n" else _line_pattern(line) for line in expected.splitlines(keepends=True)
    )


def _line_pattern(line: str) -> str:
    pattern, end = "", 0
    for place in _PLACE.finditer(line):
        assert place.lastindex is not None
        pattern += re.escape(line[end : place.start()]) + (*_VARYING, ".*?")[place.lastindex - 1]
        end = place.end()
    return pattern + re.escape(line[end:])
