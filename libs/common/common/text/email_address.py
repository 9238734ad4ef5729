"""Parses e-mail addresses: one rule for what the HTTP edge accepts and what e-mails are sent to (ADR 23)."""

import re
from dataclasses import dataclass

LONGEST = 254
LONGEST_LOCAL_PART = 64

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# Addresses in ASCII, matched in microseconds. Labels with hyphens as third and fourth character are reserved (RFC 5890,
# 2.3.1); among them are A-labels, which only a library that decodes them can validate.
_PLAIN = re.compile(rf"(?P<local>{_ATOM}(?:\.{_ATOM})*)@(?:(?!..--){_LABEL}\.)+(?!..--)(?=.*[A-Za-z]\Z){_LABEL}")
_MAY_BE_INTERNATIONAL = re.compile(r"[^\x00-\x7f]|@(?:.*\.)?xn--", re.IGNORECASE)
_ENCODED_WORD = re.compile(r"=\?.*\?=")
# A name before an address: words without the characters that have a meaning in a header, or one quoted string.
_MAILBOX = re.compile(
    r'\s*(?:(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<words>[^"()<>\[\]:;@\\,]*?))\s*<(?P<address>[^<>]*)>\s*'
)
# What could end a line and begin another, and surrogates, which are no characters.
CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ESCAPED = re.compile(r"\\(.)")
_NO_ADDRESS = "must be an e-mail address, such as ada@example.org"
_TOO_LONG = f"must have at most {LONGEST_LOCAL_PART} characters before the @, and {LONGEST} in all"


class NotAnEmailAddress(ValueError):
    """The text is not an address that e-mail can be sent to. The message does not contain the text."""


def parse_email_address(text: str) -> str:
    """The address to store and to send to: unchanged, except that an international domain becomes A-labels (RFC 5890).

    It must be valid in SMTP without extensions (RFC 5321, 4.1.2), so the part before the @ is ASCII. It is neither
    quoted nor an encoded word (RFC 2047), which mail programs would decode to another address. Whether the mailbox
    exists is not checked. Raises `NotAnEmailAddress`.
    """
    if len(text) > LONGEST:  # an international domain is never longer than its A-labels
        raise NotAnEmailAddress(_TOO_LONG)
    plain = _PLAIN.fullmatch(text)
    if plain is not None:
        address, local = text, plain["local"]
    elif _MAY_BE_INTERNATIONAL.search(text):
        address = _with_ascii_domain(text)
        local = address.rpartition("@")[0]
    else:
        raise NotAnEmailAddress(_NO_ADDRESS)
    if len(local) > LONGEST_LOCAL_PART or len(address) > LONGEST:
        raise NotAnEmailAddress(_TOO_LONG)
    if _ENCODED_WORD.search(local):
        raise NotAnEmailAddress("must not have an encoded word before the @")
    return address


def _with_ascii_domain(text: str) -> str:
    import email_validator  # its tables need 0.15 s and 17 MB, and most processes never use them

    # Domain names for tests and documentation are accepted: deliverability is not checked.
    email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()
    try:
        valid = email_validator.validate_email(text, check_deliverability=False, allow_smtputf8=False)
    except email_validator.EmailNotValidError as error:
        raise NotAnEmailAddress(_NO_ADDRESS) from error
    # The library also normalises the ASCII parts, to lower case for example; they stay unchanged here.
    local, _, domain = text.rpartition("@")
    return f"{local}@{domain if domain.isascii() else valid.ascii_domain}"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address and its display name (RFC 5322, 3.4), which may be empty."""

    name: str
    address: str


def parse_mailbox(text: str) -> Mailbox:
    """One mailbox: `ada@example.org`, `Ada Lovelace <ada@example.org>` or `"Acme, Inc." <billing@acme.example>`.

    Raises `NotAnEmailAddress`.
    """
    if CONTROL_CHARACTER.search(text):
        raise NotAnEmailAddress("must not have control characters")
    match = _MAILBOX.fullmatch(text)
    if match is None:
        if "<" in text:
            raise NotAnEmailAddress('must be one address, with a name as in "Acme, Inc." <billing@acme.example>')
        return Mailbox("", parse_email_address(text.strip()))
    quoted = match["quoted"]
    name = match["words"] if quoted is None else _ESCAPED.sub(r"\1", quoted[1:-1])
    if _ENCODED_WORD.search(name):
        raise NotAnEmailAddress("must have the name itself, not an encoded word")
    return Mailbox(name, parse_email_address(match["address"]))
