"""Each consumer parses every example of the events it consumes, and requires no field that is optional."""

from collections.abc import Mapping
from pathlib import Path

import invoicing.events
import orders.consumer
import pytest
import refunds.consumer
import returns.consumer
from common.messaging.envelope import EventView
from generators.event_schemas import PUBLISHED, committed_schema, example_files
from local_stack.services import SERVICES

VIEWS: Mapping[str, Mapping[str, type[EventView]]] = {
    "orders": {event_type: handler.view for event_type, handler in orders.consumer.EVENT_HANDLERS.items()},
    "returns": {event_type: handler.view for event_type, handler in returns.consumer.EVENT_HANDLERS.items()},
    "refunds": {event_type: handler.view for event_type, handler in refunds.consumer.EVENT_HANDLERS.items()},
    "invoicing": {"order.shipped": invoicing.events.OrderShippedView},
}
CONSUMED_EVENTS = [
    (service, event_type) for service, views in VIEWS.items() for event_type in views if event_type in PUBLISHED
]
EXAMPLES = [
    (service, event_type, file) for service, event_type in CONSUMED_EVENTS for file in example_files(event_type)
]


def test_the_views_of_every_service_are_checked() -> None:
    assert VIEWS.keys() == SERVICES.keys()


@pytest.mark.parametrize(
    ("service", "event_type", "file"), EXAMPLES, ids=lambda value: getattr(value, "stem", str(value))
)
def test_a_view_parses_every_example(service: str, event_type: str, file: Path) -> None:
    VIEWS[service][event_type].model_validate_json(file.read_bytes())


@pytest.mark.parametrize(("service", "event_type"), CONSUMED_EVENTS)
def test_a_view_requires_only_fields_that_the_schema_guarantees(service: str, event_type: str) -> None:
    required = VIEWS[service][event_type].model_json_schema(mode="validation").get("required", [])
    assert set(required) <= set(committed_schema(event_type)["required"])
