"""The CI workflows run the developer's commands, with pinned actions."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+")


def jobs(workflow: Path) -> dict[str, dict[str, Any]]:
    all_jobs: dict[str, dict[str, Any]] = yaml.safe_load(workflow.read_text())["jobs"]
    return all_jobs


def steps(workflow: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(workflow).values() for step in job["steps"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_by_its_full_commit_and_names_its_version(workflow: Path) -> None:
    actions = re.findall(r"uses: (.*)", workflow.read_text())

    assert len(actions) == len([step for step in steps(workflow) if "uses" in step])
    assert [action for action in actions if not PINNED.fullmatch(action)] == []


def test_the_same_action_is_the_same_commit_everywhere() -> None:
    actions = {action for workflow in WORKFLOWS for action in re.findall(r"uses: (.*)", workflow.read_text())}

    assert len(actions) == len({action.split("@")[0] for action in actions})


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_read_permissions_and_a_timeout(workflow: Path) -> None:
    text = yaml.safe_load(workflow.read_text())

    assert text["permissions"] == {"contents": "read"}
    assert text["defaults"]["run"]["shell"] == "bash"  # without it, a failing command before a pipe is ignored
    assert all(job["timeout-minutes"] <= 45 for job in jobs(workflow).values())


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_reports_are_uploaded_even_after_failures(workflow: Path) -> None:
    for name, job in jobs(workflow).items():
        uploads = [step for step in job["steps"] if "actions/upload-artifact" in step.get("uses", "")]
        assert uploads, name
        writes_reports = any("reports/" in step.get("run", "") for step in job["steps"])
        assert not writes_reports or uploads[-1]["if"] == "always()", name


def test_the_make_targets_of_the_workflows_exist_and_include_every_gate() -> None:
    commands = "\n".join(step.get("run", "") for workflow in WORKFLOWS for step in steps(workflow))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    used_targets = set(re.findall(r"\bmake ([a-z-]+)", commands))

    assert used_targets <= targets
    assert used_targets >= {"test", "check", "kill-runs", "security"}


def test_every_image_is_built_and_its_bill_of_materials_is_uploaded() -> None:
    (ci,) = (workflow for workflow in WORKFLOWS if workflow.stem == "ci")
    images = jobs(ci)["images"]["strategy"]["matrix"]["include"]

    services = {each["service"] for each in images}
    of_compose = set(re.findall(r"image: articurated/(\w+):", (ROOT / "docker-compose.yml").read_text()))

    assert services == of_compose
    assert all((ROOT / each["source"] / "pyproject.toml").exists() for each in images)
