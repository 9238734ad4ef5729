"""An OpenID provider that logs in one person without asking: authorization code flow with PKCE, real signatures."""

import hashlib
import json
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from support.gateway.identity_provider import AUDIENCE, Key, key_set, new_key, sign
from support.gateway.raw_http import limits, raw_server

CLIENT = "console"


@dataclass
class Provider:
    """`id_claims` and `access_claims` change what the tokens say; `pending` has the codes that were not used yet."""

    issuer: str = ""
    key: Key = field(default_factory=lambda: new_key("RS256", "one"))
    id_claims: dict[str, Any] = field(default_factory=dict)
    access_claims: dict[str, Any] = field(default_factory=dict)
    pending: dict[str, dict[str, str]] = field(default_factory=dict)

    async def configuration(self, _request: Request) -> Response:
        addresses = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        return JSONResponse({"issuer": self.issuer, **{k: f"{self.issuer}/{v}" for k, v in addresses.items()}})

    async def authorize(self, request: Request) -> Response:
        query = dict(request.query_params)
        assert (query["response_type"], query["client_id"], query["code_challenge_method"]) == ("code", CLIENT, "S256")
        code = secrets.token_urlsafe(16)
        self.pending[code] = query
        back = urlencode({"code": code, "state": query["state"]})
        return RedirectResponse(f"{query['redirect_uri']}?{back}", status_code=303)

    async def token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        asked = self.pending.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or challenge != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        named = {"iss": self.issuer, "sub": "maria", "exp": int(time.time()) + 300}
        id_token = sign(
            self.key,
            **{**named, "aud": CLIENT, "nonce": asked["nonce"], "role": None, "name": "Maria", **self.id_claims},
        )
        access_token = sign(self.key, **{**named, "aud": AUDIENCE, **self.access_claims})
        tokens = {"id_token": id_token, "access_token": access_token, "token_type": "Bearer", "expires_in": 300}
        return JSONResponse(tokens)

    async def keys(self, _request: Request) -> Response:
        return JSONResponse(json.loads(key_set(self.key)))

    @property
    def application(self) -> Starlette:
        paths = {
            "/.well-known/openid-configuration": self.configuration,
            "/authorize": self.authorize,
            "/keys": self.keys,
        }
        routes = [Route(path, page, methods=["GET"]) for path, page in paths.items()]
        return Starlette(routes=[*routes, Route("/token", self.token, methods=["POST"])])


@asynccontextmanager
async def serve_provider() -> AsyncIterator[Provider]:
    provider = Provider()
    async with raw_server(provider.application, limits(body_bytes=2**16)) as server:
        provider.issuer = server.server.address
        yield provider
