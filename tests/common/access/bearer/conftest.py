"""A provider with one key of each kind, generated once: RSA keys take a tenth of a second each."""

from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import pytest
import pytest_asyncio
from common.access.bearer.bearer_tokens import BearerTokens
from common.settings import ServiceSettings
from support.gateway.identity_provider import IdentityProvider, Key, NewTokens, new_key, serve_keys


@cache
def key_named(algorithm: str, kid: str) -> Key:
    return new_key(algorithm, kid)


@pytest.fixture
def rsa() -> Key:
    return key_named("RS256", "rsa-1")


@pytest.fixture
def other_rsa() -> Key:
    """The provider does not publish it."""
    return key_named("RS256", "rsa-2")


@pytest.fixture
def ec() -> Key:
    return key_named("ES256", "ec-1")


@pytest.fixture
def ed() -> Key:
    return key_named("EdDSA", "ed-1")


@pytest_asyncio.fixture
async def provider(rsa: Key, ec: Key, ed: Key) -> AsyncIterator[IdentityProvider]:
    async with serve_keys(rsa, ec, ed) as provider:
        yield provider


@pytest.fixture
def new_tokens(provider: IdentityProvider) -> NewTokens:
    """Makes what a service verifies tokens with, as its settings say."""

    def make(**settings: Any) -> BearerTokens:
        values = {"database_url": "postgresql://nowhere", "kafka_bootstrap": "nowhere", **provider.settings, **settings}
        tokens = BearerTokens.configured(ServiceSettings(**values))
        assert tokens is not None
        return tokens

    return make


@pytest.fixture
def tokens(new_tokens: NewTokens) -> BearerTokens:
    return new_tokens()
