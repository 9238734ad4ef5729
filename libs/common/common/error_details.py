"""Types of the `details` of errors, for the OpenAPI document. A member may be added to any of them."""

from typing import NotRequired

from typing_extensions import TypedDict


class ErrorDetails(TypedDict):
    """No member is promised; those that there are help a person."""


class BadRequestDetails(TypedDict):
    """What could not be read: a member or a header that was given twice, or the limit that the request exceeds."""

    member: NotRequired[str]
    header: NotRequired[str]
    limit_bytes: NotRequired[int]
    limit_lines: NotRequired[int]
    limit_seconds: NotRequired[float]


class ForbiddenDetails(TypedDict):
    """The caller's role, if another role may do this."""

    role: NotRequired[str]


class TransitionDetails(TypedDict):
    """`allowed_transitions` is empty for a state that is final."""

    current_state: str
    requested_state: str
    allowed_transitions: list[str]


class VersionDetails(TypedDict):
    """The version that the object has; null where there are no versions."""

    current_version: int | None


class SizeDetails(TypedDict):
    """The limit of the body."""

    limit_bytes: NotRequired[int]


class MediaTypeDetails(TypedDict):
    """The content type or the content coding that was refused."""

    content_type: NotRequired[str]
    content_encoding: NotRequired[str]


class FieldProblem(TypedDict):
    """`field` is a dotted path into the request, such as `parts.0.size`."""

    field: str
    issue: str


class ValidationDetails(FieldProblem):
    """The first problem, the first hundred of them, and the number of all."""

    errors: list[FieldProblem]
    error_count: int


class RateDetails(TypedDict):
    """The limit that was exceeded."""

    limit: NotRequired[int]
    window_seconds: NotRequired[int]
