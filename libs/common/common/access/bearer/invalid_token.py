"""Refusals of bearer tokens, as RFC 6750 (3) describes them."""

from common.errors import Code, ErrorCode, Problem

REALM = 'Bearer realm="articurated"'


def challenge(error: str, description: str) -> str:
    """The value of `WWW-Authenticate`; `description` is ASCII without quotation marks and backslashes."""
    return f'{REALM}, error="{error}", error_description="{description}"'


class InvalidToken(Problem):
    """UNAUTHENTICATED. The message says what is wrong, and repeats nothing of the token."""

    def __init__(self, message: str, *, code: ErrorCode = Code.UNAUTHENTICATED, error: str = "invalid_token") -> None:
        super().__init__(code, message, challenge=challenge(error, message))


def invalid_request(message: str) -> InvalidToken:
    """BAD_REQUEST: the credentials are ambiguous or malformed."""
    return InvalidToken(message, code=Code.BAD_REQUEST, error="invalid_request")
