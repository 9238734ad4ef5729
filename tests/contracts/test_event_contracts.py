"""Published events match the committed schemas and the examples, which are never changed."""

import json
from pathlib import Path

import pytest
from generators.compatibility import as_first_published
from generators.event_schemas import CONTRACTS, PUBLISHED, committed_schema, example_files, schema_of
from jsonschema import Draft202012Validator

EXAMPLES = [(event_type, file) for event_type in PUBLISHED for file in example_files(event_type)]


@pytest.mark.parametrize("event_type", PUBLISHED)
def test_the_published_models_match_the_committed_schemas(event_type: str) -> None:
    """If this fails: run `make contracts` and review the difference."""
    assert schema_of(event_type) == committed_schema(event_type)


@pytest.mark.parametrize("event_type", PUBLISHED)
def test_each_type_has_an_example(event_type: str) -> None:
    assert example_files(event_type)


@pytest.mark.parametrize(("event_type", "file"), EXAMPLES, ids=lambda value: getattr(value, "stem", str(value)))
def test_an_event_that_was_once_published_stays_valid(event_type: str, file: Path) -> None:
    example = json.loads(file.read_text())
    schema = as_first_published(committed_schema(event_type))
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(example)
    data = PUBLISHED[event_type].model_validate_json(file.read_text()).model_dump(mode="json")
    assert {name: data[name] for name in example} == example


def test_no_schema_or_example_is_unused() -> None:
    assert {file.name.removesuffix(".v1.json") for file in (CONTRACTS / "schemas").iterdir()} == set(PUBLISHED)
    assert {folder.name for folder in (CONTRACTS / "examples").iterdir()} == set(PUBLISHED)
