"""Attacks on bearer tokens: forged, confused, stale, oversized and ambiguous ones. Every signature is a real one."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from common.access.actors import subject_id
from common.access.auth import Identity, Role
from common.access.bearer.bearer_tokens import BearerTokens
from common.errors import Code, Problem
from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import RSAKey
from support.gateway.identity_provider import AUDIENCE, ISSUER, IdentityProvider, Key, NewTokens, claims, sign

HOUR = 3600
NOW = int(time.time())


async def identify(tokens: BearerTokens, token: str) -> Identity:
    return await tokens.identify(f"Bearer {token}".encode("latin-1"))


async def refusal(tokens: BearerTokens, token: str) -> str:
    """The message; the refusal has the challenge of RFC 6750."""
    with pytest.raises(Problem) as raised:
        await identify(tokens, token)
    problem = raised.value
    assert problem.code is Code.UNAUTHENTICATED, problem.message
    assert problem.challenge == (
        f'Bearer realm="articurated", error="invalid_token", error_description="{problem.message}"'
    )
    return problem.message


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def signed_text(key: Key, payload: str, header: str = '{"alg":"RS256","kid":"rsa-1"}') -> str:
    """A token of exactly these texts: a JSON library writes neither duplicates nor NaN."""
    signing_input = f"{encoded(header.encode())}.{encoded(payload.encode())}"
    algorithm = jws.JWSRegistry.algorithms["RS256"]
    return f"{signing_input}.{encoded(algorithm.sign(signing_input.encode(), key))}"


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_a_token_of_each_algorithm_names_its_subject_and_role(
    tokens: BearerTokens, rsa: Key, ec: Key, ed: Key, algorithm: str
) -> None:
    key = {"ES256": ec, "EdDSA": ed}.get(algorithm, rsa)
    identity = await identify(tokens, sign(key, algorithm=algorithm))
    actor_id = subject_id(ISSUER, "maria")
    assert identity == Identity(actor_id, "maria", Role.MANAGER, None, f"token.{actor_id}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"iss": "https://evil.example/"}, "The issuer of the token is not trusted."),
        ({"iss": ISSUER.rstrip("/")}, "The issuer of the token is not trusted."),
        ({"iss": [ISSUER]}, "The issuer of the token is not trusted."),
        ({"iss": None}, "The issuer of the token is not trusted."),
        ({"aud": "another-shop"}, "The token is not for this audience."),
        ({"aud": ["another-shop", "a third"]}, "The token is not for this audience."),
        ({"aud": {AUDIENCE: True}}, "The token is not for this audience."),
        ({"aud": None}, "The token is not for this audience."),
        ({"exp": None}, "The token has no expiry."),
        ({"exp": NOW - HOUR}, "The token has expired."),
        ({"exp": 0}, "The token has expired."),
        ({"exp": str(NOW + HOUR)}, "The claim exp is not a time."),
        ({"exp": True}, "The claim exp is not a time."),
        ({"exp": -1}, "The claim exp is not a time."),
        ({"exp": 10**400}, "The claim exp is not a time."),
        ({"exp": 1e300}, "The claim exp is not a time."),
        ({"nbf": NOW + HOUR}, "The token is not valid yet."),
        ({"nbf": "later"}, "The claim nbf is not a time."),
        ({"iat": NOW + HOUR}, "The token was issued in the future."),
        ({"iat": [NOW]}, "The claim iat is not a time."),
        ({"sub": None}, "The token has no subject."),
        ({"sub": ""}, "The token has no subject."),
        ({"sub": " "}, "The token has no subject."),
        ({"sub": 7}, "The token has no subject."),
        ({"sub": "m" * 256}, "The token has no subject."),
        ({"sub": "maria\r\nrole: ops"}, "The token has no subject."),
    ],
)
async def test_a_token_for_somebody_else_or_another_time_is_rejected(
    tokens: BearerTokens, rsa: Key, changes: dict[str, Any], message: str
) -> None:
    assert await refusal(tokens, sign(rsa, **changes)) == message


async def test_the_leeway_is_granted_on_both_sides_and_not_more(tokens: BearerTokens, rsa: Key) -> None:
    now = time.time()
    await identify(tokens, sign(rsa, exp=now - 25, nbf=now + 25, iat=now + 25))
    assert await refusal(tokens, sign(rsa, exp=now - 31)) == "The token has expired."
    assert await refusal(tokens, sign(rsa, nbf=now + 60)) == "The token is not valid yet."


async def test_a_token_of_a_key_that_only_claims_the_id_is_rejected(tokens: BearerTokens, other_rsa: Key) -> None:
    forged = sign(other_rsa, header={"kid": "rsa-1"})
    assert await refusal(tokens, forged) == "The signature of the token is not valid."


async def test_a_token_whose_claims_were_changed_is_rejected(tokens: BearerTokens, rsa: Key) -> None:
    header, _, signature = sign(rsa).split(".")
    payload = encoded(json.dumps(claims(role="ops")).encode())
    assert await refusal(tokens, f"{header}.{payload}.{signature}") == "The signature of the token is not valid."


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", "HS256", "HS512", "RS512", "ES256K", "", 7, None])
async def test_an_algorithm_that_is_not_configured_is_rejected(tokens: BearerTokens, rsa: Key, algorithm: Any) -> None:
    header = json.dumps({"alg": algorithm, "kid": "rsa-1"})
    token = signed_text(rsa, json.dumps(claims()), header)
    assert await refusal(tokens, token) == "The algorithm of the token is not accepted."


async def test_a_token_without_a_signature_is_rejected(tokens: BearerTokens) -> None:
    header = encoded(b'{"alg":"none"}')
    assert await refusal(tokens, f"{header}.{encoded(json.dumps(claims()).encode())}.") == (
        "The token is not a signed JWT."
    )


async def test_the_public_key_is_not_accepted_as_the_secret_of_a_mac(tokens: BearerTokens, rsa: Key) -> None:
    for secret in (rsa.as_pem(private=False), rsa.as_der(private=False)):
        header = encoded(b'{"alg":"HS256","kid":"rsa-1"}')
        signing_input = f"{header}.{encoded(json.dumps(claims()).encode())}"
        mac = hmac.new(secret, signing_input.encode(), hashlib.sha256).digest()
        assert await refusal(tokens, f"{signing_input}.{encoded(mac)}") == "The algorithm of the token is not accepted."


async def test_a_key_serves_only_the_algorithm_of_its_kind(tokens: BearerTokens, ec: Key, rsa: Key) -> None:
    """A signature by one kind of key under the id of another kind finds no key."""
    assert await refusal(tokens, sign(ec, algorithm="ES256", header={"kid": "rsa-1"})) == (
        "The key of the token is not known."
    )
    assert await refusal(tokens, sign(rsa, header={"kid": "ec-1"})) == "The key of the token is not known."


async def test_an_algorithm_can_be_taken_out_by_the_settings(new_tokens: NewTokens, rsa: Key, ec: Key) -> None:
    only_es256 = new_tokens(jwt_algorithms="ES256")
    await identify(only_es256, sign(ec, algorithm="ES256"))
    assert await refusal(only_es256, sign(rsa)) == "The algorithm of the token is not accepted."


@pytest.mark.parametrize("kid", ["rsa-9", "../../etc/passwd", "rsa-1' OR '1'='1", ""])
async def test_an_unknown_key_id_is_rejected(tokens: BearerTokens, rsa: Key, kid: str) -> None:
    assert await refusal(tokens, sign(rsa, header={"kid": kid})) == "The key of the token is not known."


async def test_a_key_that_the_token_brings_along_is_not_used(
    tokens: BearerTokens, provider: IdentityProvider, other_rsa: Key
) -> None:
    own_key = other_rsa.as_dict(private=False)
    for header in ({"jwk": own_key}, {"jku": provider.url}, {"x5u": provider.url}, {"jwk": own_key, "kid": "rsa-1"}):
        message = await refusal(tokens, sign(other_rsa, header=header))
        assert message in {"The key of the token is not known.", "The signature of the token is not valid."}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ('"crit":["exp"],"exp":1', "The token needs an extension that is not supported."),
        ('"b64":false', "The token needs an extension that is not supported."),
        ('"typ":"logout+jwt"', "The type of the token is not that of an access token."),
        ('"typ":7', "The type of the token is not that of an access token."),
        ('"alg":"RS256"', "The token is not a signed JWT of JSON objects without duplicates."),
        ('"x":NaN', "The token is not a signed JWT of JSON objects without duplicates."),
    ],
)
async def test_an_unusual_header_is_rejected(tokens: BearerTokens, rsa: Key, header: str, message: str) -> None:
    token = signed_text(rsa, json.dumps(claims()), f'{{"alg":"RS256","kid":"rsa-1",{header}}}')
    assert await refusal(tokens, token) == message


@pytest.mark.parametrize(
    "change",
    [
        lambda payload: payload[:-1] + ', "role": "ops"}',
        lambda payload: payload[:-1] + ', "\\u0065xp": 99999999999}',
        lambda payload: payload[:-1] + ', "address": {"a": 1, "a": 2}}',
        lambda payload: payload[:-1] + ', "exp2": NaN}',
        lambda payload: payload[:-1] + ', "exp2": -Infinity}',
        lambda payload: payload[:-1] + ', "big": ' + "9" * 5000 + "}",
        lambda payload: payload[:-1] + ', "deep": ' + "[" * 2500 + "]" * 2500 + "}",
        lambda payload: payload.replace("maria", "\\ud800"),
        lambda payload: f"[{payload}]",
        lambda payload: f"{payload} {payload}",
        lambda _: '"a text"',
        lambda _: "",
    ],
    ids=["role", "escaped", "nested", "nan", "infinity", "digits", "deep", "surrogate", "list", "two", "text", "empty"],
)
async def test_claims_that_parsers_could_read_differently_are_rejected(
    tokens: BearerTokens, rsa: Key, change: Callable[[str], str]
) -> None:
    message = await refusal(tokens, signed_text(rsa, change(json.dumps(claims()))))
    assert message.startswith(("The token is not a signed JWT", "The token has no subject"))


@pytest.mark.parametrize(
    "token",
    ["x", "a.b", "a.b.c", "a.b.c.d", "a.b.c.d.e", "..", "é.b.c", "a b.c.d", "e30.e30.e30", "=.=.=", "\x00.\x00.\x00"],
)
async def test_what_is_not_a_token_is_rejected(tokens: BearerTokens, token: str) -> None:
    assert await refusal(tokens, token)


async def test_a_huge_token_is_rejected_before_anything_is_computed(
    tokens: BearerTokens, provider: IdentityProvider, rsa: Key
) -> None:
    assert await refusal(tokens, sign(rsa, groups=["g" * 50] * 200)) == "The token has more than 8192 bytes."
    assert await refusal(tokens, "x" * 60_000) == "The token has more than 8192 bytes."


async def test_a_signature_with_characters_that_decoders_skip_is_rejected(tokens: BearerTokens, rsa: Key) -> None:
    token = sign(rsa)
    for changed in (token + "=", token + "\n", token[:-5] + "*" + token[-5:]):
        assert await refusal(tokens, changed) == "The token is not a signed JWT."


@pytest.mark.parametrize(
    ("role", "message"),
    [
        (None, "The token names no role."),
        ("queen", "The token names no role."),
        ("OPS", "The token names no role."),
        (7, "The token names no role."),
        ({"ops": True}, "The token names no role."),
        (["offline_access"], "The token names no role."),
        (["manager", "ops"], "The token names more than one role."),
    ],
)
async def test_a_token_without_exactly_one_role_is_forbidden_everything(
    tokens: BearerTokens, rsa: Key, role: Any, message: str
) -> None:
    with pytest.raises(Problem, match=message) as raised:
        await identify(tokens, sign(rsa, role=role))
    assert raised.value.code is Code.FORBIDDEN


async def test_a_client_acts_for_the_customer_of_its_token_and_for_nobody_without_one(
    tokens: BearerTokens, new_tokens: NewTokens, rsa: Key
) -> None:
    customer = uuid4()
    assert (await identify(tokens, sign(rsa, role="client", customer_id=str(customer)))).customer_id == customer
    for wrong in (None, "", "ada", 7, [str(customer)]):
        with pytest.raises(Problem) as raised:
            await identify(tokens, sign(rsa, role="client", customer_id=wrong))
        assert raised.value.code is Code.FORBIDDEN
    assert (await identify(tokens, sign(rsa, customer_id=str(customer)))).customer_id is None, "staff has no customer"
    for_many = new_tokens(jwt_customer_required=False)
    assert (await identify(for_many, sign(rsa, role="client"))).customer_id is None


async def test_claims_are_found_by_their_configured_names_and_paths(new_tokens: NewTokens, rsa: Key) -> None:
    tokens = new_tokens(
        jwt_role_claim="realm_access.roles",
        jwt_customer_claim="https://shop.example/customer",
        jwt_name_claim="preferred_username",
    )
    customer = uuid4()
    token = sign(
        rsa,
        role="ops",
        realm_access={"roles": ["offline_access", "client"]},
        preferred_username="maria@shop.example",
        **{"https://shop.example/customer": str(customer)},
    )
    identity = await identify(tokens, token)
    assert (identity.role, identity.customer_id, identity.name) == (Role.CLIENT, customer, "maria@shop.example")
    without_name = await identify(tokens, sign(rsa, realm_access={"roles": ["ops"]}))
    assert without_name.name == "maria"


async def test_two_subjects_differ_also_from_the_api_key_that_has_their_name(tokens: BearerTokens, rsa: Key) -> None:
    maria, anna = await identify(tokens, sign(rsa)), await identify(tokens, sign(rsa, sub="anna"))
    as_a_key = await identify(tokens, sign(rsa, sub="ak_client_1"))
    assert len({maria.id, anna.id, as_a_key.id}) == len({maria.scope, anna.scope, as_a_key.scope}) == 3
    assert as_a_key.scope != "ak_client_1"


async def test_a_weak_key_of_the_provider_verifies_nothing(new_tokens: NewTokens, provider: IdentityProvider) -> None:
    with pytest.warns(SecurityWarning):
        weak = RSAKey.generate_key(1024, parameters={"kid": "weak"})
    document = json.loads(provider.document)
    provider.document = json.dumps({"keys": [*document["keys"], weak.as_dict(private=False)]}).encode()
    assert await refusal(new_tokens(), sign(weak)) == "The key of the token is not known."
