"""The provider's keys: rotation, outages, slow and hostile answers, and how rarely the provider is asked."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import pytest
from common.access.bearer.bearer_tokens import BearerTokens
from common.access.bearer.claims import ClaimRules
from common.access.bearer.key_source import SECONDS_BETWEEN_LOADS, WAITING_LIMIT, KeySource
from common.access.bearer.loading import LARGEST_DOCUMENT, from_file, from_url
from common.errors import Code, ErrorCode, Problem
from joserfc.jwk import RSAKey
from support.gateway.identity_provider import AUDIENCE, ISSUER, IdentityProvider, Key, key_set, sign
from support.waiting import eventually, eventually_true

RULES = ClaimRules(ISSUER, AUDIENCE, 30, "role", "customer_id", "sub", customer_required=True)
CACHE_SECONDS, MAX_AGE_SECONDS = 300.0, 3600.0


class Clock:
    """The time of a test. A pause until the next load advances it, when the gate is open."""

    now = 1000.0

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await self.gate.wait()
        self.now += seconds


class ProviderLoads:
    """Documents of a provider whose key set changes while they are read; `begun_at` are the times of the requests."""

    def __init__(self, clock: Clock, document: bytes) -> None:
        self.document = document
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun_at: list[float] = []
        self._clock = clock

    async def load(self) -> bytes:
        self.begun_at.append(self._clock())
        document = self.document
        await self.gate.wait()
        return document

    def tokens(self) -> BearerTokens:
        return tokens_of(self.load, self._clock)


def tokens_of(load: Callable[[], Awaitable[bytes]], clock: Clock) -> BearerTokens:
    keys = KeySource(load, cache_seconds=CACHE_SECONDS, max_age_seconds=MAX_AGE_SECONDS, clock=clock, sleep=clock.sleep)
    return BearerTokens(keys, RULES, frozenset({"RS256", "ES256"}))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(provider: IdentityProvider, clock: Clock) -> BearerTokens:
    return tokens_of(from_url(provider.url), clock)


async def accepted(tokens: BearerTokens, token: str) -> bool:
    return (await tokens.identify(f"Bearer {token}".encode())).name == "maria"


async def refused(tokens: BearerTokens, token: str, code: ErrorCode = Code.UNAUTHENTICATED) -> Problem:
    with pytest.raises(Problem) as raised:
        await tokens.identify(f"Bearer {token}".encode())
    assert raised.value.code is code, raised.value.message
    return raised.value


async def test_many_requests_at_once_cause_one_request_to_a_slow_provider(
    tokens: BearerTokens, provider: IdentityProvider, rsa: Key
) -> None:
    provider.gate.clear()
    waiting = [asyncio.create_task(accepted(tokens, sign(rsa, sub="maria", jti=str(number)))) for number in range(100)]
    await eventually_true(lambda: provider.requests == 1)
    provider.gate.set()
    assert await asyncio.gather(*waiting) == [True] * 100
    assert provider.requests == 1


async def test_a_known_key_is_used_while_it_is_loaded_again_in_the_background(
    tokens: BearerTokens, provider: IdentityProvider, clock: Clock, rsa: Key
) -> None:
    await accepted(tokens, sign(rsa))
    provider.gate.clear()
    clock.now += CACHE_SECONDS
    async with asyncio.timeout(2):
        for number in range(20):
            assert await accepted(tokens, sign(rsa, jti=str(number)))
    await eventually_true(lambda: provider.requests == 2)
    provider.gate.set()


async def test_a_new_key_is_found_at_its_first_token(
    tokens: BearerTokens, provider: IdentityProvider, clock: Clock, rsa: Key, other_rsa: Key
) -> None:
    await accepted(tokens, sign(rsa))
    provider.document = key_set(rsa, other_rsa)
    clock.now += SECONDS_BETWEEN_LOADS
    assert await accepted(tokens, sign(other_rsa))
    assert provider.requests == 2


async def test_a_token_of_a_withdrawn_key_is_refused_although_it_was_cached(
    tokens: BearerTokens, provider: IdentityProvider, clock: Clock, rsa: Key, other_rsa: Key
) -> None:
    token = sign(rsa)
    assert await accepted(tokens, token)
    provider.document = key_set(other_rsa)
    clock.now += CACHE_SECONDS
    assert await accepted(tokens, token), "the load has only begun"

    async def is_refused() -> bool:
        try:
            return not await accepted(tokens, token)
        except Problem as problem:
            return problem.code is Code.UNAUTHENTICATED

    await eventually(is_refused)
    assert provider.requests == 3, "one more: the provider could have published the key again"


async def test_a_key_that_is_published_just_after_a_load_is_found_by_the_next_one(
    tokens: BearerTokens, provider: IdentityProvider, clock: Clock, rsa: Key, other_rsa: Key
) -> None:
    await accepted(tokens, sign(rsa))
    provider.document = key_set(rsa, other_rsa)
    clock.now += SECONDS_BETWEEN_LOADS / 10
    assert await accepted(tokens, sign(other_rsa))
    assert provider.requests == 2


async def test_a_key_that_is_published_while_an_older_load_runs_is_found_by_the_next_one(
    clock: Clock, rsa: Key, other_rsa: Key
) -> None:
    loads = ProviderLoads(clock, key_set(rsa))
    tokens = loads.tokens()
    await accepted(tokens, sign(rsa))
    clock.now += SECONDS_BETWEEN_LOADS
    loads.gate.clear()
    made_up = asyncio.create_task(refused(tokens, sign(other_rsa, header={"kid": "made-up"})))
    await eventually_true(lambda: len(loads.begun_at) == 2)
    loads.document = key_set(rsa, other_rsa)
    genuine = asyncio.create_task(accepted(tokens, sign(other_rsa)))
    await asyncio.sleep(0)
    loads.gate.set()
    assert await genuine
    await made_up


async def test_made_up_key_ids_cause_a_request_every_two_seconds_at_most(
    clock: Clock, rsa: Key, other_rsa: Key
) -> None:
    loads = ProviderLoads(clock, key_set(rsa))
    tokens = loads.tokens()
    await accepted(tokens, sign(rsa))
    for _ in range(3):
        flood = [sign(other_rsa, header={"kid": f"made-up-{number}"}) for number in range(50)]
        for problem in await asyncio.gather(*(refused(tokens, each) for each in flood)):
            assert problem.message == "The key of the token is not known."
        clock.now += 0.01
    assert [later - earlier for earlier, later in pairwise(loads.begun_at)] == [SECONDS_BETWEEN_LOADS] * 3
    assert await accepted(tokens, sign(rsa))


async def test_a_flood_of_made_up_key_ids_beyond_the_waiting_ones_gets_503_at_once(
    tokens: BearerTokens, provider: IdentityProvider, clock: Clock, rsa: Key, other_rsa: Key
) -> None:
    await accepted(tokens, sign(rsa))
    clock.gate.clear()
    made_up = [sign(other_rsa, header={"kid": f"made-up-{number}"}) for number in range(WAITING_LIMIT)]
    waiting = [asyncio.create_task(refused(tokens, each)) for each in made_up]
    await asyncio.sleep(0)
    problem = await refused(tokens, sign(other_rsa, header={"kid": "one more"}), Code.UNAVAILABLE)
    assert problem.retry_after is not None
    assert await accepted(tokens, sign(rsa, jti="new")), "a known key waits for nothing"
    assert provider.requests == 1
    clock.gate.set()
    await asyncio.gather(*waiting)
    assert provider.requests == 2


async def test_during_an_outage_known_keys_are_used_for_a_limited_time(
    tokens: BearerTokens, provider: IdentityProvider, clock: Clock, rsa: Key, other_rsa: Key
) -> None:
    token = sign(rsa)
    await accepted(tokens, token)
    provider.status = 500
    clock.now += MAX_AGE_SECONDS - 1
    assert await accepted(tokens, sign(rsa, jti="new"))
    clock.now += SECONDS_BETWEEN_LOADS / 2
    unknown = await refused(tokens, sign(other_rsa), Code.UNAVAILABLE)
    assert unknown.retry_after is not None
    clock.now += SECONDS_BETWEEN_LOADS
    await refused(tokens, token, Code.UNAVAILABLE)
    provider.status = 200
    clock.now += SECONDS_BETWEEN_LOADS
    assert await accepted(tokens, token)


@pytest.mark.parametrize("status", [302, 500])
async def test_without_any_key_the_answer_is_503_and_not_401(
    tokens: BearerTokens, provider: IdentityProvider, rsa: Key, status: int
) -> None:
    provider.status, provider.headers = status, b"Location: https://evil.example/keys\r\n"
    await refused(tokens, sign(rsa), Code.UNAVAILABLE)
    await refused(tokens, sign(rsa), Code.UNAVAILABLE)
    assert provider.requests == 1, "the second one did not ask again"


def ten_thousand_keys(provider: IdentityProvider) -> bytes:
    [first, *_] = json.loads(provider.document)["keys"]
    return json.dumps({"keys": [{**first, "kid": str(number)} for number in range(10_000)]}).encode()


HOSTILE: dict[str, Callable[[IdentityProvider], bytes]] = {
    "ten thousand keys": ten_thousand_keys,
    "more than a hundred small keys": lambda _: json.dumps({"keys": [{"kty": "EC"}] * 101}).encode(),
    "no key": lambda _: b'{"keys": []}',
    "only a secret": lambda _: b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "rsa-1"}]}',
    "keys twice": lambda provider: provider.document[:-1] + b', "keys": []}',
    "not an object": lambda _: b"[]",
    "not JSON": lambda _: b"<html>",
    "nested": lambda _: b'{"keys": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_useless_document_leaves_the_known_keys_in_use(
    tokens: BearerTokens, provider: IdentityProvider, clock: Clock, rsa: Key, name: str
) -> None:
    await accepted(tokens, sign(rsa))
    provider.document = HOSTILE[name](provider)
    clock.now += SECONDS_BETWEEN_LOADS
    started = time.monotonic()
    await refused(tokens, sign(rsa, header={"kid": "another"}), Code.UNAVAILABLE)
    assert time.monotonic() - started < 2
    assert provider.requests == 2
    assert await accepted(tokens, sign(rsa))


async def test_keys_that_are_of_no_use_are_left_out(
    tokens: BearerTokens, provider: IdentityProvider, rsa: Key, ec: Key
) -> None:
    signing = rsa.as_dict(private=False)
    others = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "rsa-1"},
        {"kty": "unheard of"},
        "not a key",
        {**signing, "use": "enc"},
        {**signing, "kid": "only-ps", "alg": "PS256"},
        {**signing, "kid": "broken", "n": "!"},
        {**signing, "kid": "broken", "n": 7},
        {**ec.as_dict(private=False), "kid": "off the curve", "x": "AAAA"},
    ]
    provider.document = json.dumps({"keys": [*others, signing]}).encode()
    assert await accepted(tokens, sign(rsa))
    await refused(tokens, sign(rsa, header={"kid": "only-ps"}))


async def test_two_keys_with_one_id_verify_nothing(
    tokens: BearerTokens, provider: IdentityProvider, rsa: Key, other_rsa: Key
) -> None:
    provider.document = json.dumps(
        {"keys": [{**key.as_dict(private=False), "kid": "k"} for key in (rsa, other_rsa)]}
    ).encode()
    await refused(tokens, sign(rsa, header={"kid": "k"}))


async def test_a_token_without_a_key_id_needs_a_provider_with_one_key_for_its_algorithm(
    tokens: BearerTokens, provider: IdentityProvider, clock: Clock, rsa: Key, other_rsa: Key
) -> None:
    nameless = RSAKey.import_key({name: value for name, value in rsa.as_dict(private=True).items() if name != "kid"})
    token = sign(nameless)
    assert await accepted(tokens, token)
    provider.document = key_set(rsa, other_rsa)
    clock.now += SECONDS_BETWEEN_LOADS
    await refused(tokens, sign(rsa, header={"kid": "another"}))
    await refused(tokens, token)


async def test_the_keys_of_a_file_are_read_again(tmp_path: Path, clock: Clock, rsa: Key, other_rsa: Key) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(key_set(rsa))
    tokens = tokens_of(from_file(file), clock)
    assert await accepted(tokens, sign(rsa))
    file.write_bytes(key_set(other_rsa))
    clock.now += SECONDS_BETWEEN_LOADS
    assert await accepted(tokens, sign(other_rsa))
    file.write_bytes(b" " * (LARGEST_DOCUMENT + 1))
    clock.now += SECONDS_BETWEEN_LOADS
    await refused(tokens, sign(rsa), Code.UNAVAILABLE)
