"""The checks of a route before its endpoint is called, in the contract's order (docs/reference/errors.md)."""

from dataclasses import dataclass

from pydantic import BaseModel
from starlette.requests import Request

from common.access.auth import EVERYONE, Role
from common.edge.admission.admission import Admission
from common.edge.requests.body import SAFE_METHODS, read_json
from common.edge.requests.body_bounds import THINNED_ABOVE_BYTES, drop_unknown_fields
from common.edge.state import runtime_of
from common.errors import Code, Problem
from common.internals.starlette import stored_json


@dataclass(frozen=True, slots=True)
class Guard:
    """`body_model` is the type that validates the body, if it is a model."""

    roles: frozenset[Role]
    route_template: str
    body_model: type[BaseModel] | None

    async def check(self, request: Request) -> None:
        """Admit the caller, then read the body. Raises `Problem`."""
        scope = request.scope
        scope["route_template"] = self.route_template
        state = request.app.state
        if self.roles is not EVERYONE:
            admission: Admission = state.admission
            await admission.admit(scope, self.roles)
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            raise Problem(Code.BAD_REQUEST, "The address must not contain NUL characters.")
        if scope["method"] not in SAFE_METHODS:
            body = await read_json(request, runtime_of(request).settings.max_body_bytes)
            if self.body_model is not None and len(body) > THINNED_ABOVE_BYTES:
                scope["problems_left_out"] = drop_unknown_fields(stored_json(request, None), self.body_model)
