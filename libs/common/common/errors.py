"""Problems that are answered to clients, with the error codes of the HTTP contract; independent of any framework."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from common import error_details


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """An error code of the HTTP contract. A service defines codes of its own in addition to those of `Code`.

    `details` is the type of the error's details, for the OpenAPI document. `name` is that of the error's schema, if two
    codes have one `wire_name`.
    """

    wire_name: str
    status: int
    details: type[Any] = error_details.ErrorDetails
    name: str = ""


class Code:
    """The error codes of every service."""

    BAD_REQUEST = ErrorCode("BAD_REQUEST", 400, error_details.BadRequestDetails)
    UNAUTHENTICATED = ErrorCode("UNAUTHENTICATED", 401)
    FORBIDDEN = ErrorCode("FORBIDDEN", 403, error_details.ForbiddenDetails)
    NOT_FOUND = ErrorCode("NOT_FOUND", 404)
    METHOD_NOT_ALLOWED = ErrorCode("METHOD_NOT_ALLOWED", 405)
    CONFLICT = ErrorCode("CONFLICT", 409)
    INVALID_STATE_TRANSITION = ErrorCode("INVALID_STATE_TRANSITION", 409, error_details.TransitionDetails)
    PRECONDITION_FAILED = ErrorCode("PRECONDITION_FAILED", 412, error_details.VersionDetails)
    PAYLOAD_TOO_LARGE = ErrorCode("PAYLOAD_TOO_LARGE", 413, error_details.SizeDetails)
    UNSUPPORTED_MEDIA_TYPE = ErrorCode("BAD_REQUEST", 415, error_details.MediaTypeDetails, "UNSUPPORTED_MEDIA_TYPE")
    VALIDATION_ERROR = ErrorCode("VALIDATION_ERROR", 422, error_details.ValidationDetails)
    IDEMPOTENCY_KEY_REUSED = ErrorCode("IDEMPOTENCY_KEY_REUSED", 422)
    RATE_LIMITED = ErrorCode("RATE_LIMITED", 429, error_details.RateDetails)
    INTERNAL_ERROR = ErrorCode("INTERNAL_ERROR", 500)
    UNAVAILABLE = ErrorCode("UNAVAILABLE", 503)


CODES_OF_EVERY_SERVICE = tuple(code for code in vars(Code).values() if isinstance(code, ErrorCode))
LISTED_PROBLEMS = 100
# Of texts that contain input of a client: a name, an address, a message about either.
LONGEST_TEXT = 500
_LONGEST_FIELD = 200


def excerpt(text: str, longest: int = LONGEST_TEXT) -> str:
    """The text, or its beginning and an ellipsis: a megabyte of input is repeated in no answer and no log line."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


class Problem(Exception):
    """An error that is answered to the client.

    A command that raises it rolls its transaction back; what a command wrote that *returns* it is committed (a refused
    transition is audited). `retry_after` is in seconds. `challenge` is the value of `WWW-Authenticate`.

    Where PostgreSQL ended the transaction, its reason can only be looked up afterwards: `after_rollback` is called with
    a connection, and may give a more exact problem.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        details: Mapping[str, Any] | None = None,
        *,
        retry_after: float | None = None,
        challenge: str | None = None,
        after_rollback: "Callable[[Any], Awaitable[Problem | None]] | None" = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = dict(details or {})
        self.retry_after = retry_after
        self.challenge = challenge
        self.after_rollback = after_rollback

    @classmethod
    def not_found(cls, entity: str, identifier: object) -> "Problem":
        return Problem(Code.NOT_FOUND, f"No {entity} with id {identifier}.", {entity: str(identifier)})

    @classmethod
    def forbidden(cls, message: str) -> "Problem":
        return Problem(Code.FORBIDDEN, message)

    @classmethod
    def unavailable(cls, message: str, **details: object) -> "Problem":
        """To be tried again after a second."""
        return Problem(Code.UNAVAILABLE, message, details, retry_after=1)

    @classmethod
    def invalid_transition(cls, current: str, requested: str, allowed: list[str]) -> "Problem":
        return Problem(
            Code.INVALID_STATE_TRANSITION,
            f"A change from {current} to {requested} is not allowed.",
            {"current_state": current, "requested_state": requested, "allowed_transitions": allowed},
        )

    @classmethod
    def invalid(cls, field: str, issue: str) -> "Problem":
        """A 422 with one problem; `field` is a dotted path into the request, such as `line_items.0.quantity`."""
        return cls.invalid_fields([(field, issue)], count=1)

    @classmethod
    def invalid_fields(cls, problems: Iterable[tuple[str, str]], *, count: int) -> "Problem":
        """A 422 with at most `LISTED_PROBLEMS` problems, each a field and its issue; `count` is the number of all."""
        errors = [{"field": excerpt(field, _LONGEST_FIELD), "issue": excerpt(issue)} for field, issue in problems]
        first = errors[0]
        return Problem(
            Code.VALIDATION_ERROR,
            f"{first['field']}: {first['issue']}",
            {**first, "errors": errors, "error_count": count},
        )


class PermanentFailure(Exception):
    """No later attempt can succeed, so a job that raises it is dead at once. Operators see the message."""
