"""Runs workflows of an Arazzo 1.0 document against an address: the parts of the specification that ours use.

Each step sends one operation of the OpenAPI document, or runs another workflow. A step that fails is sent again as its
`onFailure` of the type `retry` says; any other failure ends the workflow. Members that are not known are refused, so
that no part of a workflow is silently left out.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from support.workflows.expressions import Values, holds, resolved

Document = Mapping[str, Any]

_MEMBERS = {
    "document": {"arazzo", "info", "sourceDescriptions", "workflows"},
    "workflow": {"workflowId", "summary", "description", "inputs", "steps", "outputs"},
    "step": {
        *("stepId", "description", "operationId", "workflowId", "parameters", "requestBody"),
        *("successCriteria", "onFailure", "outputs"),
    },
    "parameter": {"name", "in", "value"},
    "body": {"contentType", "payload"},
    "retry": {"name", "type", "retryAfter", "retryLimit"},
}


class WorkflowFailed(AssertionError):
    """A step was not answered as its criteria say."""


@dataclass
class Runner:
    """`operations` has the method and path of each operation id."""

    document: Document
    operations: Mapping[str, tuple[str, str]]
    client: httpx.AsyncClient
    sent: set[str] = field(default_factory=set)
    _outputs: dict[str, Document] = field(default_factory=dict)

    async def run(self, workflow_id: str, inputs: Document) -> Document:
        """The workflow's outputs. Raises `WorkflowFailed`."""
        workflow = next(each for each in self.document["workflows"] if each["workflowId"] == workflow_id)
        values = Values(inputs=inputs, steps={}, workflows=self._outputs)
        for step in workflow["steps"]:
            try:
                values = values.after(step["stepId"], await self._step(step, values))
            except WorkflowFailed as failure:
                raise WorkflowFailed(f"{workflow_id}, {step['stepId']}: {failure}") from None
        outputs: Document = resolved(workflow.get("outputs", {}), values)
        self._outputs[workflow_id] = outputs
        return outputs

    async def _step(self, step: Document, values: Values) -> Document:
        if "workflowId" in step:
            inputs = {each["name"]: resolved(each["value"], values) for each in step.get("parameters", [])}
            return await self.run(step["workflowId"], inputs)
        retry = next(iter(step.get("onFailure", [])), {"retryLimit": 0, "retryAfter": 0})
        tries_left = retry["retryLimit"]
        while True:
            answered = values.answered(await self._send(step, values))
            unmet = [each["condition"] for each in step["successCriteria"] if not holds(each["condition"], answered)]
            if not unmet:
                break
            if not tries_left:
                raise WorkflowFailed(f"{unmet} of {answered.response.status_code} {answered.response.text[:500]}")
            tries_left -= 1
            await asyncio.sleep(retry["retryAfter"])
        outputs: Document = resolved(step.get("outputs", {}), answered)
        return outputs

    async def _send(self, step: Document, values: Values) -> httpx.Response:
        method, path = self.operations[step["operationId"]]
        self.sent.add(step["operationId"])
        parts: dict[str, dict[str, str]] = {"path": {}, "query": {}, "header": {}}
        for each in step.get("parameters", []):
            parts[each["in"]][each["name"]] = str(resolved(each["value"], values))
        for name, value in parts["path"].items():
            path = path.replace(f"{{{name}}}", value)
        body = resolved(step["requestBody"]["payload"], values) if "requestBody" in step else None
        return await self.client.request(method, path, params=parts["query"], headers=parts["header"], json=body)


def unknown_members(document: Document) -> list[str]:
    """What the runner would leave out, with its place."""
    return list(_unknown(document))


def _unknown(document: Document) -> Iterator[str]:
    yield from _beyond("document", document, "the document")
    for workflow in document["workflows"]:
        name = workflow["workflowId"]
        yield from _beyond("workflow", workflow, name)
        for step in workflow["steps"]:
            place = f"{name}, {step['stepId']}"
            yield from _beyond("step", step, place)
            yield from _beyond("body", step.get("requestBody", {}), place)
            for parameter in step.get("parameters", []):
                yield from _beyond("parameter", parameter, place)
            for action in step.get("onFailure", []):
                yield from _beyond("retry", action, place)
            if any(set(each) != {"condition"} for each in step.get("successCriteria", [])):
                yield f"{place}: a criterion that is not simple"


def _beyond(kind: str, part: Document, place: str) -> Iterator[str]:
    for name in part.keys() - _MEMBERS[kind]:
        yield f"{place}: {name}"
