"""A signed link gives access to one path until it expires."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from common.signed_links import SignedLinks

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PATH = "/api/v1/invoices/42/document"


def query_of(link: str) -> tuple[int, str]:
    query = parse_qs(urlsplit(link).query)
    return int(query["expires"][0]), query["signature"][0]


def test_a_link_is_valid_until_its_expiry_and_not_a_second_longer() -> None:
    expires, signature = query_of(SignedLinks("key").sign(PATH, NOW))
    assert SignedLinks("key").verify(PATH, expires, signature, NOW)
    assert not SignedLinks("key").verify(PATH, expires, signature, NOW + timedelta(seconds=1))


def test_a_signature_is_valid_for_one_path_one_expiry_and_one_key() -> None:
    expires, signature = query_of(SignedLinks("key").sign(PATH, NOW))
    assert not SignedLinks("key").verify(PATH.replace("42", "43"), expires, signature, NOW)
    assert not SignedLinks("key").verify(PATH, expires + 60, signature, NOW)
    assert not SignedLinks("another key").verify(PATH, expires, signature, NOW)
    assert not SignedLinks("key").verify(PATH, expires, "é" + signature[1:], NOW)


def test_signing_without_a_key_is_an_error() -> None:
    with pytest.raises(ValueError, match="LINK_SIGNING_KEY"):
        SignedLinks("").sign(PATH, NOW)
