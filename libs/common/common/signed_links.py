"""Signed links: who has one may open its path until it expires. The signature is an HMAC-SHA256 of path and expiry."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class SignedLinks:
    """An empty key is an error of each method, `ValueError`: anyone could compute its signatures."""

    key: str

    def sign(self, path: str, expires_at: datetime) -> str:
        """`path` with the query parameters that make it valid until `expires_at`, in whole seconds."""
        expires = int(expires_at.timestamp())
        return f"{path}?{urlencode({'expires': expires, 'signature': self._signature(path, expires)})}"

    def verify(self, path: str, expires: int, signature: str, now: datetime) -> bool:
        """Whether the signature belongs to this path and expiry, and the link has not expired."""
        is_genuine = hmac.compare_digest(self._signature(path, expires).encode(), signature.encode())
        return is_genuine and now.timestamp() <= expires

    def _signature(self, path: str, expires: int) -> str:
        if not self.key:
            raise ValueError("no key to sign links with: set LINK_SIGNING_KEY")
        return hmac.new(self.key.encode(), f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()
