"""Headers of every response: what a browser may load and do with a page, and that nobody stores it."""

from collections.abc import Iterable

Header = tuple[bytes, bytes]

# Scripts and styles only from files of the console, requests only to it, and no page of another site around it.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-frame-options", b"DENY"),
    (b"x-content-type-options", b"nosniff"),
    # With no-referrer, browsers would hide the Origin of forms.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)


def protected(headers: Iterable[Header]) -> list[Header]:
    """These headers with those of every response. Pages have personal data: only files without it are stored."""
    own = list(headers)
    is_stored = any(name == b"cache-control" for name, _ in own)
    return [*own, *_HEADERS, *(() if is_stored else ((b"cache-control", b"no-store"),))]
