"""An identity provider: it signs tokens with real keys and serves its JWK Set over HTTP."""

import asyncio
import json
import time
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from common.access.bearer.bearer_tokens import BearerTokens
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

Key: TypeAlias = RSAKey | ECKey | OKPKey
NewTokens: TypeAlias = Callable[..., BearerTokens]

ISSUER = "https://login.customers.example/"
AUDIENCE = "articurated"
_REASONS = {200: "OK", 302: "Found", 500: "Internal Server Error"}


def new_key(algorithm: str, kid: str) -> Key:
    parameters: Any = {"kid": kid, "use": "sig"}
    match algorithm:
        case "ES256":
            return ECKey.generate_key("P-256", parameters=parameters)
        case "EdDSA":
            return OKPKey.generate_key("Ed25519", parameters=parameters)
    return RSAKey.generate_key(2048, parameters=parameters)


def key_set(*keys: Key) -> bytes:
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


def claims(**changes: Any) -> dict[str, Any]:
    """Of a manager, for five minutes; a claim that is None is left out."""
    now = int(time.time())
    chosen = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "maria",
        "role": "manager",
        "iat": now,
        "exp": now + 300,
        **changes,
    }
    return {name: value for name, value in chosen.items() if value is not None}


def sign(key: Key, *, algorithm: str = "RS256", header: Any = None, **changes: Any) -> str:
    """A token with these claims."""
    identified = {} if key.kid is None else {"kid": key.kid}
    whole_header = {"alg": algorithm, **identified, **(header or {})}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # EdDSA has another name since RFC 9864
        return jwt.encode(whole_header, claims(**changes), key, algorithms=[algorithm])


class IdentityProvider:
    """`document`, `status` and `gate` may be changed at any time; `requests` counts what was asked."""

    def __init__(self, *keys: Key) -> None:
        self.document = key_set(*keys)
        self.status = 200
        self.headers = b""
        self.gate = asyncio.Event()
        self.gate.set()
        self.requests = 0
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.requests += 1
            await self.gate.wait()
            head = f"HTTP/1.1 {self.status} {_REASONS[self.status]}\r\nContent-Length: {len(self.document)}\r\n"
            writer.write(head.encode() + self.headers + b"Connection: close\r\n\r\n" + self.document)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            writer.close()

    @property
    def settings(self) -> dict[str, Any]:
        """Those of a service that trusts it."""
        return {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_jwks_url": self.url}


@asynccontextmanager
async def serve_keys(*keys: Key) -> AsyncIterator[IdentityProvider]:
    provider = IdentityProvider(*keys)
    server = await asyncio.start_server(provider.answer, "127.0.0.1", 0)
    provider.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
    try:
        yield provider
    finally:
        provider.gate.set()
        server.close()
