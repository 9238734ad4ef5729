"""Signed links: who has one may open its path until it expires. The signature is an HMAC-SHA256 of path and expiry."""

import hashlib
import hmac
from datetime import datetime
from urllib.parse import urlencode


def sign(key: str, path: str, expires_at: datetime) -> str:
    """`path` with the query parameters that make it valid until `expires_at`, in whole seconds.

    Raises `ValueError` for an empty key.
    """
    expires = int(expires_at.timestamp())
    return f"{path}?{urlencode({'expires': expires, 'signature': _signature(key, path, expires)})}"


def verify(key: str, path: str, expires: int, signature: str, now: datetime) -> bool:
    """Whether the signature belongs to this path and expiry, and the link has not expired."""
    is_genuine = hmac.compare_digest(_signature(key, path, expires).encode(), signature.encode())
    return is_genuine and now.timestamp() <= expires


def _signature(key: str, path: str, expires: int) -> str:
    """An empty key is an error: anyone could compute its signatures."""
    if not key:
        raise ValueError("no key to sign links with: set LINK_SIGNING_KEY")
    return hmac.new(key.encode(), f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()
