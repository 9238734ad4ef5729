"""Every example of the OpenAPI documents is sent to a running stack, and its answer is as documented.

An operation has an example for each status: its own (docs/api/examples/<operationId>.yaml), or the one of each error
that every route can answer (errors.yaml), for which one fault is put into a valid request. 429, 500 and 503 come from
gateways that have no requests left, no tables, no database. With RECORD_EXAMPLES=1 the answers are written into the
files.
"""

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
import yaml
from common.database.transactions import Pool, open_pool
from demo.client import Shop
from generators import api_examples
from generators.api_documents import GATEWAYS, TAGS_OF_OPERATORS, read
from generators.api_examples import ERRORS, Example, example_file, examples_of, shared_errors
from local_stack.services import SERVICES
from local_stack.stack_json import StackDescription
from structlog.testing import capture_logs
from support.api_examples.answers import Documented, recorded
from support.api_examples.objects import Objects
from support.api_examples.requests import Operation, Request
from support.api_examples.senders import Sender, faulty_senders, stack_sender, while_it_runs
from support.postgres.databases import MakeDatabase

RECORDS = bool(os.environ.get("RECORD_EXAMPLES"))
# Documented, and not caused here: the page of health reads nothing that could be broken.
NOT_CAUSED = {("healthCheck", "500")}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def operations(document: str, service: str) -> Iterator[Operation]:
    for path, item in read(document)["paths"].items():
        for method, operation in item.items():
            if method == "servers":
                continue
            if service in GATEWAYS and not _is_of(service, operation):
                continue
            yield Operation(service, method.upper(), path, operation)


def _is_of(service: str, operation: dict[str, Any]) -> bool:
    """Health and metrics of the one origin are asked once."""
    tags = {"orders": {"Orders", "Health"}, "returns": {"Returns"}}[service]
    return bool((tags | TAGS_OF_OPERATORS) & set(operation["tags"]))


PARTS = [
    *(("openapi.yaml", service) for service in GATEWAYS),
    *((f"operators-{service}.yaml", service) for service in SERVICES),
]


class Conversation:
    """Sends the examples of one document's part."""

    def __init__(
        self, live: Sender, faulty: dict[int, Sender], objects: Objects, database: Pool, document: str
    ) -> None:
        self._live, self._faulty, self._objects, self._database = live, faulty, objects, database
        self._documented = Documented(read(document))

    async def problems(self, operation: Operation) -> list[str]:
        found: list[str] = []
        examples = examples_of(operation.id, operation.service)
        valid = next((each for each in examples if each.status < 400), None)
        if valid is None:
            return [f"{operation.id} has no example: add docs/api/examples/{operation.id}.yaml"]
        for example in examples:
            request = await operation.request(example, self._objects)
            response = await self._sender(example).send(request)
            found += self._judged(operation, f"example {example.name}", example.status, response)
            if RECORDS:
                _record(operation, example, recorded(response, request.known))
        for status in operation.document["responses"]:
            if (operation.id, status) not in NOT_CAUSED and not any(str(each.status) == status for each in examples):
                found += await self._common(operation, valid, int(status))
        return found

    def _sender(self, example: Example) -> Sender:
        if _is_of_a_gateway_here(example):
            return self._faulty[429]
        return self._faulty[503] if example.status == 503 else self._live

    async def _common(self, operation: Operation, valid: Example, status: int) -> list[str]:
        """The errors of a status that every route can answer, or 304."""
        if status in self._faulty:  # a signed link is one of these gateways
            valid = next(
                (each for each in examples_of(operation.id, operation.service) if _is_of_a_gateway_here(each)), valid
            )
        request = await operation.request(valid, self._objects)
        if status == 304:
            tag = (await self._live.send(request)).headers["ETag"]
            response = await self._live.send(request.with_headers(If_None_Match=tag))
            return self._judged(operation, "the current version", status, response)
        schema = self._documented.response(operation.document, status)["content"]["application/json"]["schema"]
        found: list[str] = []
        for reference in schema.get("oneOf", [schema]):
            name = reference["$ref"].rpartition("/")[2]
            if name not in shared_errors():
                found.append(
                    f"{operation.id} documents {name}: add an example to docs/api/examples/{operation.id}.yaml"
                )
                continue
            request = await operation.request(valid, self._objects)
            try:
                response = await self._error(operation, name.removesuffix("Error"), request, status)
            except LookupError as missing:
                found.append(str(missing))
                continue
            found += self._judged(operation, name, status, response, reference)
            if RECORDS:
                _record_error(name, recorded(response, request.known))
        return found

    async def _error(self, operation: Operation, code: str, valid: Request, status: int) -> httpx.Response:
        if status in self._faulty:
            await self._faulty[status].send(valid)  # of 429: the one request of this minute
            return await self._faulty[status].send(valid)
        with_key = valid.with_headers(**{"Idempotency-Key": os.urandom(8).hex()})
        if code == "Conflict":
            return await while_it_runs(self._live, with_key, self._database)
        if code == "IdempotencyKeyReused":
            assert (await self._live.send(with_key)).is_success
            return await self._live.send(with_key.but(body=(valid.body or b"{}") + b" "))
        return await self._live.send(operation.erroneous(code, valid))

    def _judged(
        self, operation: Operation, name: str, status: int, response: httpx.Response, schema: Any = None
    ) -> list[str]:
        problems = self._documented.problems(operation.document, response)
        if response.status_code != status:
            problems.append(f"{response.status_code} in place of {status}: {response.text[:300]}")
        elif schema is not None:
            problems += self._documented.body_problems(schema, response.json())
        return [f"{operation.id}, {name}: {problem}" for problem in problems]


@pytest.fixture(params=PARTS, ids=lambda part: f"{part[0].removesuffix('.yaml')}-{part[1]}", scope="module")
def part(request: pytest.FixtureRequest) -> tuple[str, str]:
    found: tuple[str, str] = request.param
    return found


@pytest_asyncio.fixture
async def conversation(
    part: tuple[str, str], stack: StackDescription, shop: Shop, make_database: MakeDatabase
) -> AsyncIterator[Conversation]:
    document, service = part
    database = await open_pool(stack["databases"][service], size=3, application_name="examples")
    async with (
        stack_sender(stack, service, at_the_origin=document == "openapi.yaml") as live,
        faulty_senders(service, make_database) as faulty,
    ):
        yield Conversation(live, faulty, Objects(shop, service, database), database, document)
    await database.close()


async def test_every_example_and_documented_status_is_answered_as_documented(
    part: tuple[str, str], conversation: Conversation
) -> None:
    with capture_logs():  # rendering the traceback of a 500 takes seconds
        problems = [problem for operation in operations(*part) for problem in await conversation.problems(operation)]
    assert problems == [], "\n".join(problems)


def _is_of_a_gateway_here(example: Example) -> bool:
    """Its link is signed with the key of the gateways with a fault; that of the stack is not known here."""
    return "$unknown_invoice_link.id" in example.path.values()


def _record(operation: Operation, example: Example, answer: Any) -> None:
    _write(example_file(operation.id, operation.service), {example.name: answer})
    examples_of.cache_clear()


def _record_error(name: str, answer: Any) -> None:
    if shared_errors()[name]["answer"] is None:
        _write(ERRORS, {name: answer})
        shared_errors.cache_clear()


def _write(file: Any, answers: dict[str, Any]) -> None:
    content = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)
    for name, answer in answers.items():
        content[name].pop("answer", None)
        if answer is not None:
            content[name]["answer"] = answer
    file.write_text(api_examples.as_yaml(content))
