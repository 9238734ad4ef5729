"""Validation of e-mail addresses, and parsing of a sender's address."""

import email_validator
import pytest
from common.text.email_address import Mailbox, NotAnEmailAddress, parse_email_address, parse_mailbox
from hypothesis import example, given
from hypothesis import strategies as st

addresses = st.one_of(
    st.emails(),
    st.text(st.sampled_from("abA1.-_@=?+'\"<> üß🏺\\"), max_size=30),
    st.builds("{}@{}".format, st.text(st.sampled_from("a.=?q"), min_size=1), st.text(st.sampled_from("ab1-.ü"))),
)


@given(addresses)
@example("a@xn--a.example")
@example("a@ab--cd.example")
@example("a@example.123")
@example("a@b.c1")
def test_the_quick_rule_accepts_nothing_that_the_validator_rejects(text: str) -> None:
    try:
        address = parse_email_address(text)
    except NotAnEmailAddress:
        return
    valid = email_validator.validate_email(text, check_deliverability=False, allow_smtputf8=False)
    assert valid.ascii_email is not None
    assert address.casefold() == valid.ascii_email.casefold()
    assert address == text or not text.isascii()


@given(addresses)
def test_of_the_addresses_that_the_validator_accepts_only_encoded_words_are_rejected(text: str) -> None:
    try:
        valid = email_validator.validate_email(text, check_deliverability=False, allow_smtputf8=False)
    except email_validator.EmailNotValidError:
        return
    if "=?" not in text:
        assert parse_email_address(text).casefold() == str(valid.ascii_email).casefold()


@given(addresses)
def test_parsing_a_stored_address_again_does_not_change_it(text: str) -> None:
    try:
        address = parse_email_address(text)
    except NotAnEmailAddress:
        return
    assert parse_email_address(address) == address
    assert address.isascii()


@pytest.mark.parametrize("domain", ["customers.example", "studio.test", "mail.local", "x.invalid", "münchen.test"])
def test_domains_for_tests_and_documentation_are_accepted(domain: str) -> None:
    assert parse_email_address(f"ada@{domain}")


def test_the_longest_address_is_254_characters() -> None:
    local, domain = "a" * 64, ".".join(["b" * 63, "c" * 63, "d" * 61])
    longest = f"{local}@{domain}"
    assert len(longest) == 254
    assert parse_email_address(longest) == longest
    for longer in (f"a{longest}", f"{longest}e", "a" * 65 + "@example.org", "a" * 100_000):
        with pytest.raises(NotAnEmailAddress, match="at most 64 characters before the @, and 254 in all"):
            parse_email_address(longer)


@pytest.mark.parametrize(
    ("text", "mailbox"),
    [
        ("ada@example.org", Mailbox("", "ada@example.org")),
        ("<ada@example.org>", Mailbox("", "ada@example.org")),
        ("Ada O'Neill <ada@example.org>", Mailbox("Ada O'Neill", "ada@example.org")),
        ("Acme Inc. <a@münchen.example>", Mailbox("Acme Inc.", "a@xn--mnchen-3ya.example")),
        (r'"Acme, \"Inc\"" <a@example.org>', Mailbox('Acme, "Inc"', "a@example.org")),
    ],
)
def test_a_sender_is_a_name_and_an_address(text: str, mailbox: Mailbox) -> None:
    assert parse_mailbox(text) == mailbox


@pytest.mark.parametrize(
    "text",
    ["Acme, Inc. <a@example.org>", "a@example.org, b@example.org", "A <a@example.org>, B <b@example.org>",
     "A (x) <a@example.org>", "A <a@example.org", "A a@example.org", "", "<>", '"A <a@example.org>',
     "A\n<a@example.org>", "A\r\nB <a@example.org>", "A;B <a@example.org>", "=?utf-8?q?A?= <a@example.org>"],
)  # fmt: skip
def test_a_text_with_several_senders_or_none_is_rejected(text: str) -> None:
    with pytest.raises(NotAnEmailAddress):
        parse_mailbox(text)
