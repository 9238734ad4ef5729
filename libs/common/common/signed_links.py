"""Links that carry their own permission: whoever has one may use it until it expires, and can change nothing in it."""

import hashlib
import hmac
from datetime import datetime
from urllib.parse import urlencode


def sign(key: str, path: str, expires_at: datetime) -> str:
    """`path` with the query that makes it valid until `expires_at` (to the second)."""
    expires = int(expires_at.timestamp())
    return f"{path}?{urlencode({'expires': expires, 'signature': _signature(key, path, expires)})}"


def verify(key: str, path: str, expires: int, signature: str, now: datetime) -> bool:
    """Whether the signature belongs to this path and time, and the time has not passed."""
    genuine = hmac.compare_digest(_signature(key, path, expires).encode(), signature.encode())
    return genuine and now.timestamp() <= expires


def _signature(key: str, path: str, expires: int) -> str:
    """HMAC-SHA256. Raises `ValueError` without a key: a link signed with nothing would open every document."""
    if not key:
        raise ValueError("no key to sign links with: set LINK_SIGNING_KEY")
    return hmac.new(key.encode(), f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()
