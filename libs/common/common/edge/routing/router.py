"""Declaration of a gateway's routes, each with the roles that may call it."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from typing_extensions import TypedDict

from common.access.auth import Caller, Role
from common.access.policy import Policy, Verdict
from common.aggregates.notes import Notes
from common.audit.proofs import HistoryProof
from common.database.statements import Connection
from common.edge.routing.guarded_route import GuardedRoute
from common.edge.routing.history import HistoryResponse, history_endpoint
from common.edge.routing.history_proof import DESCRIPTION as PROOF_DESCRIPTION
from common.edge.routing.history_proof import history_proof_endpoint
from common.edge.routing.notes import NoteResponse, note_endpoints
from common.errors import ErrorCode
from common.paging import Pagination

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


class Router:
    """Collects endpoints; the gateway makes a `GuardedRoute` of each.

    The router's tag groups the routes in the OpenAPI document; without a tag they are not in it.
    """

    def __init__(self, prefix: str = "", tag: str | None = None) -> None:
        self._prefix = prefix
        self._of_every_route: dict[str, Any] = {
            "include_in_schema": tag is not None,
            "tags": [] if tag is None else [tag],
        }
        self._routes: list[tuple[str, Callable[..., GuardedRoute]]] = []

    def route(
        self,
        method: str,
        path: str,
        *,
        roles: Iterable[Role] | None,
        returns: type[Any] | None = None,
        lists: type[Any] | None = None,
        status: int = 200,
        versioned: bool = False,
        foreign: Verdict | None = None,
        targets: Mapping[Any, Collection[Role]] | None = None,
        names_object: bool = True,
        responses: Mapping[int, Mapping[str, Any]] | None = None,
        errors: Iterable[ErrorCode] = (),
        **options: Any,
    ) -> Callable[[Endpoint], Endpoint]:
        """Decorator of an endpoint that these roles may call, and `ops`.

        `roles=None` means everybody, without a key: only for pages without data of anybody. A route that is `versioned`
        reads or changes one aggregate with a version: `read` and the use case check `If-Match` and `If-None-Match`,
        which a route that changes anything else refuses. `foreign` and `targets` are those of `Policy`, which the use
        case enforces: by the statement that finds the object, and by `Caller.require`. `names_object` is false where
        the path has a parameter, and every value of it has an answer. For the document:
        `returns` is the type of the response, or `lists` that of the rows of a page; `responses` has further ones, of
        which an empty one, as in `{404: {}}`, is the contract's error; `errors` are the codes that only this route has;
        `options` are FastAPI's.
        """
        model = returns if lists is None else _list_of(lists)
        documented_responses = dict(responses or {})
        if model is not None:
            documented_responses[status] = {"model": model, **documented_responses.get(status, {})}
        new_route = partial(
            GuardedRoute,
            policy=Policy(
                None if roles is None else frozenset({*roles, Role.OPS}),
                has_object=names_object and "{" in path,
                foreign=foreign,
                targets=targets or {},
            ),
            methods=[method],
            status_code=status,
            versioned=versioned,
            responses=documented_responses,
            errors=tuple(errors),
            **self._of_every_route,
            **options,
        )

        def declare(endpoint: Endpoint) -> Endpoint:
            self._routes.append((self._prefix + path, partial(new_route, endpoint=endpoint)))
            return endpoint

        return declare

    def history(
        self,
        id_name: str,
        entity_type: str,
        require_visible: Callable[[Connection, Caller, UUID], Awaitable[None]],
        *,
        operation_id: str,
        description: str,
    ) -> None:
        """Add `GET /{id_name}/history` for every role: accepted transitions, or all rows with `include=all`; and
        `GET /{id_name}/history/proof`.

        `require_visible` raises `Problem` NOT_FOUND for an entity that the caller may not see.
        """
        path, endpoint = f"/{{{id_name}}}/history", history_endpoint(id_name, entity_type, require_visible)
        add = self.route(
            "GET",
            path,
            roles=Role,
            foreign=Verdict.NOT_FOUND,
            returns=HistoryResponse,
            operation_id=operation_id,
            description=description,
        )
        add(endpoint)
        add_proof = self.route(
            "GET",
            f"{path}/proof",
            roles=Role,
            foreign=Verdict.NOT_FOUND,
            returns=HistoryProof,
            operation_id=f"{operation_id}Proof",
            description=PROOF_DESCRIPTION,
        )
        add_proof(history_proof_endpoint(id_name, entity_type, require_visible))

    def notes(
        self,
        id_name: str,
        notes: Notes,
        require_visible: Callable[[Connection, Caller, UUID], Awaitable[None]],
        *,
        entity: str,
    ) -> None:
        """Add `POST` and `GET /{id_name}/notes` for staff. `require_visible` raises `Problem` NOT_FOUND; `entity` is
        the name of what the notes are about, for the document."""
        path, (add_note, list_notes) = f"/{{{id_name}}}/notes", note_endpoints(id_name, notes, require_visible)
        add = self.route(
            "POST",
            path,
            roles=Role.staff(),
            returns=NoteResponse,
            status=201,
            operation_id=f"add{entity}Note",
            description="Write an internal note. Clients never see it; it cannot be changed or deleted.",
        )
        add(add_note)
        listing = self.route(
            "GET",
            path,
            roles=Role.staff(),
            lists=NoteResponse,
            operation_id=f"list{entity}Notes",
            description="The internal notes of staff, newest first.",
        )
        listing(list_notes)

    def build(self, prefix: str = "") -> list[GuardedRoute]:
        """The routes below another prefix."""
        return [make(prefix + path) for path, make in self._routes]


def _list_of(row: type[Any]) -> type[Any]:
    """The type of a list's response: of `OrderResponse` it is `OrderListResponse`."""
    name = row.__name__.removesuffix("Response").removesuffix("Summary")
    new_type: Any = TypedDict  # mypy knows types with literal names only
    document: type[Any] = new_type(f"{name}ListResponse", {"data": list[row], "pagination": Pagination})  # type: ignore[valid-type]
    return document
