"""A refused action: the page is shown again, with the refusal of the API in words."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from console.pages.answers import Done, View
from console.pages.visit import Visit
from console.services.client import ApiError

Show = Callable[[Visit], Awaitable[View]]


async def acted(
    visit: Visit,
    action: Awaitable[Any],
    show: Show,
    done: Callable[[Any], Done],
    entered: Mapping[str, str] | None = None,
) -> Done | View:
    """Do it, or `show` the page with the reason against it and what the person has `entered`.

    Raises `ApiError` and `ServiceDown` where nobody knows whether it was done (`sending_again`)."""
    try:
        return done(await action)
    except ApiError as error:
        if error.status in (401, 404) or error.may_have_acted:
            raise
        refused = error
    view = await show(visit)
    content = {**view.content, "refusal": in_words(refused), **(entered or {})}
    return replace(view, content=content, status=refused.status)


def in_words(error: ApiError) -> list[str]:
    match error.code:
        case "PRECONDITION_FAILED":
            return [
                "Nothing was changed: somebody else has changed this since you opened the page. "
                "You see it now as it is; decide again."
            ]
        case "INVALID_STATE_TRANSITION":
            state = error.details.get("current_state", "another state")
            return [f"Nothing was changed: it is {state} already.", error.message]
        case "RATE_LIMITED":
            return [f"Too many requests. Try again in {error.retry_after or 'a few'} seconds."]
    return error.problems
