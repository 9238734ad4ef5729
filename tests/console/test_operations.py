"""The table of the operations that pages call equals the policy that the services declare."""

from importlib import import_module

import pytest
from common.access.auth import Role
from common.edge.routing.guarded_route import GuardedRoute
from console import operations
from console.operations import Operation
from console.pages.table import PAGES
from generators.http_tables import gateway
from local_stack.services import SERVICES

PREFIX = "/api/v1"


def routes(service: str) -> dict[tuple[str, str], GuardedRoute]:
    import_module(f"{service}.app")
    found = [each for each in gateway(service).routes if isinstance(each, GuardedRoute)]
    return {(method, each.path.removeprefix(PREFIX)): each for each in found for method in each.methods or ()}


ROUTES = {service: routes(service) for service in SERVICES}


def name_of(operation: Operation) -> str:
    return f"{operation.method} {operation.path} {operation.target or ''} at {operation.service}".replace("  ", " ")


@pytest.mark.parametrize("operation", operations.ALL, ids=name_of)
def test_an_operation_has_the_roles_of_the_policy(operation: Operation) -> None:
    for service in SERVICES if operation.service == "every" else (operation.service,):
        policy = ROUTES[service][operation.method, operation.path].policy
        allowed = frozenset(Role) if policy.roles is None else policy.roles
        if operation.target is not None:
            allowed &= {Role.OPS, *policy.targets[operation.target]}
        assert operation.roles == allowed, f"{service}: {sorted(allowed)}"


def test_pages_need_operations_of_the_table_only() -> None:
    assert {operation for page in PAGES for operation in page.needs} <= set(operations.ALL)
