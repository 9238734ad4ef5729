"""The workflows of docs/api/workflows.yaml (Arazzo 1.0), each run against a stack at its one origin."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml
from generators.api_documents import FOLDER, read
from local_stack.stack_json import StackDescription
from support.workflows.arazzo import Runner, unknown_members
from support.workflows.expressions import Values, holds, resolved

DOCUMENT: dict[str, Any] = yaml.load((FOLDER / "workflows.yaml").read_text(), Loader=yaml.CSafeLoader)
WORKFLOWS = [workflow["workflowId"] for workflow in DOCUMENT["workflows"]]
OPERATIONS = {
    operation["operationId"]: (method.upper(), path)
    for path, item in read("openapi.yaml")["paths"].items()
    for method, operation in item.items()
    if method != "servers"
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("workflow", WORKFLOWS)
async def test_a_workflow_succeeds(workflow: str, stack: StackDescription) -> None:
    inputs = {f"{role}Key": key for role, key in stack["api_keys"].items()} | {"run": uuid4().hex}
    async with httpx.AsyncClient(base_url=stack["gateway"]["url"], timeout=30) as client:
        await Runner(DOCUMENT, OPERATIONS, client).run(workflow, inputs)


def test_the_document_is_one_of_arazzo_and_names_existing_operations_and_workflows() -> None:
    assert DOCUMENT["arazzo"].startswith("1.0.")
    assert [source["url"] for source in DOCUMENT["sourceDescriptions"]] == ["./openapi.yaml"]
    assert unknown_members(DOCUMENT) == []
    steps = [step for workflow in DOCUMENT["workflows"] for step in workflow["steps"]]
    assert {step["operationId"] for step in steps if "operationId" in step} <= OPERATIONS.keys()
    assert {step["workflowId"] for step in steps if "workflowId" in step} <= set(WORKFLOWS)
    assert all(len({step["stepId"] for step in each["steps"]}) == len(each["steps"]) for each in DOCUMENT["workflows"])


def test_expressions_have_the_values_of_inputs_steps_workflows_and_the_response() -> None:
    response = httpx.Response(409, json={"error": {"allowed": ["PAID"]}}, headers={"ETag": '"7"'})
    values = Values({"name": "Ada"}, {"place": {"id": 1}}, {"deliver": {"id": 2}}).answered(response)
    assert resolved("$inputs.name", values) == "Ada"
    assert resolved("{$inputs.name}-{$steps.place.outputs.id}", values) == "Ada-1"
    assert resolved({"id": ["$workflows.deliver.outputs.id"]}, values) == {"id": [2]}
    assert resolved("$response.header.ETag", values) == '"7"'
    assert holds("$statusCode == 409", values)
    assert holds("$response.body#/error/allowed/0 == 'PAID'", values)
    assert holds("$response.body#/error/allowed != []", values)
    assert not holds("$response.body#/error/missing == 1", values)
    with pytest.raises(ValueError, match="not a simple condition"):
        holds("$statusCode == 409 && true", values)
