"""The OpenAPI documents in `docs/api` equal the code, are complete, and keep what the last release promised."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from common.edge.problems.problem_details import PROBLEM_JSON
from generators.api_compatibility import breaking_changes
from generators.api_documents import ANNOUNCED, FOLDER, RELEASED, as_yaml, documents, read, unannounced_changes
from local_stack.services import SERVICES
from support.api_examples.answers import Documented

NAMES = ["openapi.yaml", *(f"operators-{service}.yaml" for service in SERVICES)]
SHORTEST_DESCRIPTION = 20

generated = cache(documents)


def operations(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in read(name)["paths"].items():
        for method, operation in item.items():
            if method != "servers":
                yield f"{method.upper()} {path}", operation


@pytest.mark.parametrize("name", NAMES)
def test_documents_equal_what_the_code_generates(name: str) -> None:
    """If this fails: run `make contracts` and review the difference."""
    assert (FOLDER / name).read_text() == as_yaml(generated()[name])


@pytest.mark.parametrize("name", NAMES)
def test_no_change_breaks_a_client_of_the_last_release(name: str) -> None:
    """If this fails, the change needs another route or another field: docs/stability.md says how to deprecate."""
    assert unannounced_changes(name, read(name)) == []


def test_every_announced_change_is_made() -> None:
    changes = [change for name in NAMES for change in breaking_changes(read(name, RELEASED), read(name))]
    assert [announced for announced in ANNOUNCED if not any(change.endswith(announced) for change in changes)] == []


@pytest.mark.parametrize("name", NAMES)
def test_operations_have_short_unique_ids_a_summary_and_a_description(name: str) -> None:
    ids = Counter(operation["operationId"] for _, operation in operations(name))
    assert [each for each, count in ids.items() if count > 1] == []
    assert [each for each in ids if not re.fullmatch(r"[a-z]+([A-Z][a-z]+){0,4}", each)] == []
    for route, operation in operations(name):
        prose, _, _ = operation["description"].rpartition("\n\n")  # the last paragraph has the roles
        assert len(prose) >= SHORTEST_DESCRIPTION, (
            f"{route} has no description: write a docstring for its endpoint that tells a client's author what it does"
        )
        assert operation["summary"], route


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_described(name: str) -> None:
    missing = [
        f"{route}: add `Query(description=…)` or `Path(description=…)` to {parameter['name']}"
        for route, operation in operations(name)
        for parameter in operation.get("parameters", [])
        if not parameter.get("description")
    ]
    assert missing == []


def test_the_clients_document_names_the_one_origin_and_the_two_direct_ones() -> None:
    document = read("openapi.yaml")
    origin = document["servers"][0]["url"]
    urls = {path: [server["url"] for server in item["servers"]] for path, item in document["paths"].items()}
    assert {each[0] for each in urls.values()} == {origin}
    assert len(urls["/api/v1/orders"]) == len(urls["/api/v1/returns"]) == 2
    assert urls["/api/v1/orders"][1] != urls["/api/v1/returns"][1]
    assert len(urls["/api/v1/metrics"]) == 3


@pytest.mark.parametrize("name", NAMES)
def test_every_operation_and_documented_status_has_an_example_that_fits_its_schema(name: str) -> None:
    document = read(name)
    documented = Documented(document)
    for route, operation in operations(name):
        examples = f"docs/api/examples/{operation['operationId']}.yaml"
        for kind in operation.get("requestBody", {}).get("content", {}).values():
            assert kind["examples"], (
                f"{route} has no example of its body: add one with a status below 400 to {examples}"
            )
        for status in operation["responses"]:
            response = documented.response(operation, int(status))
            contents = {kind: each for kind, each in response.get("content", {}).items() if kind != PROBLEM_JSON}
            for kind, content in contents.items():
                assert content.get("examples"), f"{route} has no example of {status}: add one to {examples}"
                for title, example in content["examples"].items():
                    value = documented.resolved(example)["value"]
                    if "json" in kind and "ndjson" not in kind:
                        problems = documented.body_problems(content["schema"], value)
                        assert problems == [], f"{route}, {status}, {title}: run RECORD_EXAMPLES=1, {problems}"
