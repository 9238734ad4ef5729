"""What can go wrong, in the words of the HTTP contract; no framework knows these, and they know none."""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any


class Code(Enum):
    """The contract's error codes, each with its HTTP status."""

    BAD_REQUEST = 400
    UNAUTHENTICATED = 401
    FORBIDDEN = 403
    NOT_FOUND = 404
    METHOD_NOT_ALLOWED = 405
    CONFLICT = (409, "CONFLICT")
    INVALID_STATE_TRANSITION = (409, "INVALID_STATE_TRANSITION")
    RETURN_NOT_ALLOWED = (409, "RETURN_NOT_ALLOWED")
    PRECONDITION_FAILED = 412
    PAYLOAD_TOO_LARGE = 413
    UNSUPPORTED_MEDIA_TYPE = (415, "BAD_REQUEST")
    VALIDATION_ERROR = (422, "VALIDATION_ERROR")
    IDEMPOTENCY_KEY_REUSED = (422, "IDEMPOTENCY_KEY_REUSED")
    RATE_LIMITED = 429
    INTERNAL_ERROR = 500
    UNAVAILABLE = 503

    @property
    def status(self) -> int:
        status: int = self.value[0] if isinstance(self.value, tuple) else self.value
        return status

    @property
    def wire_name(self) -> str:
        name: str = self.value[1] if isinstance(self.value, tuple) else self.name
        return name


LISTED_PROBLEMS = 100
# Of texts that hold what a client sent: a name, an address, a message about either.
LONGEST_TEXT = 500
_LONGEST_FIELD = 200


def excerpt(text: str, longest: int = LONGEST_TEXT) -> str:
    """The text, or its beginning and an ellipsis: no answer and no log line repeats a megabyte that was sent."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


class Problem(Exception):
    """A refusal that the client is told about.

    Raised inside a command it undoes the command's transaction; *returned* by a command it is committed with what the
    command wrote (a refused transition is audited). `retry_after` is in seconds.
    """

    def __init__(
        self, code: Code, message: str, details: Mapping[str, Any] | None = None, *, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = dict(details or {})
        self.retry_after = retry_after


def not_found(what: str, identifier: object) -> Problem:
    return Problem(Code.NOT_FOUND, f"No {what} with id {identifier}.", {what: str(identifier)})


def validation_error(field: str, issue: str) -> Problem:
    """A 422 with one problem; `field` is a dotted path into the request, such as `line_items.0.quantity`."""
    return validation_errors([(field, issue)], count=1)


def validation_errors(found: Iterable[tuple[str, str]], *, count: int) -> Problem:
    """A 422 that lists problems, each with its field and its issue, the first one first. At most `LISTED_PROBLEMS` are
    to be given; `count` is how many there are in all."""
    errors = [{"field": excerpt(field, _LONGEST_FIELD), "issue": excerpt(issue)} for field, issue in found]
    first = errors[0]
    return Problem(
        Code.VALIDATION_ERROR,
        f"{first['field']}: {first['issue']}",
        {**first, "errors": errors, "error_count": count},
    )


def invalid_transition(current: str, requested: str, allowed: list[str]) -> Problem:
    return Problem(
        Code.INVALID_STATE_TRANSITION,
        f"A change from {current} to {requested} is not allowed.",
        {"current_state": current, "requested_state": requested, "allowed_transitions": allowed},
    )


class PermanentFailure(Exception):
    """No later attempt can succeed, so a job that raises it is dead at once. Operators see the message."""
