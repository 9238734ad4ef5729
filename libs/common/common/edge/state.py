"""The state of an application that its routes share."""

from typing import Any

from starlette.requests import Request

from common.service import Runtime


def runtime_of(request: Request) -> Runtime[Any]:
    """The settings, the pool and the service of the application that answers this request."""
    runtime: Runtime[Any] = request.app.state.runtime
    return runtime
