"""Search queries with the syntax of Mailpit, of which the sandbox supports a part. All terms must match."""

import re
from collections.abc import Callable
from typing import Any

TERM = re.compile(
    r'(?=\S)(?P<negated>[-!])?(?:(?P<field>[a-z-]+):)?(?:"(?P<phrase>[^"]*)"|(?P<word>\S*))', re.IGNORECASE
)
UNSUPPORTED = {"tag", "is", "has", "before", "after", "larger", "smaller"}

Matcher = Callable[[dict[str, Any], str], bool]
"""A function of a message's summary and its text."""


class InvalidSearchError(ValueError):
    """The query is empty or has a filter that the sandbox does not support."""


def parse_search(query: str) -> Matcher:
    """As in Mailpit, a term matches any part of a field, without regard to case, and `-term` excludes it."""
    terms = [_parse_term(term) for term in TERM.finditer(query)]
    if not terms:
        raise InvalidSearchError("no search query")
    return lambda summary, text: all(matches(summary, text) for matches in terms)


def _parse_term(term: re.Match[str]) -> Matcher:
    field = (term["field"] or "").lower()
    value = (term["phrase"] if term["phrase"] is not None else term["word"]).casefold()
    if field in UNSUPPORTED:
        raise InvalidSearchError(f"the sandbox has no filter {field}:")
    if field and field not in FIELDS:
        field, value = "", f"{field}:{value}"
    if field == "message-id":
        value = value.strip("<>")
    if not value:
        raise InvalidSearchError(f"nothing to search for in {term[0]!r}")
    negated, field_text = bool(term["negated"]), FIELDS[field]
    return lambda summary, text: (value in field_text(summary, text).casefold()) != negated


def _addresses(*fields: str) -> Callable[[dict[str, Any], str], str]:
    return lambda summary, _: "\n".join(
        f"{address['Name']} {address['Address']}" for field in fields for address in summary[field]
    )


def _sender(summary: dict[str, Any], _: str) -> str:
    sender = summary["From"]
    return f"{sender['Name']} {sender['Address']}" if sender else ""


def _everything(summary: dict[str, Any], text: str) -> str:
    people = FIELDS["to"](summary, text), FIELDS["cc"](summary, text), _sender(summary, text)
    return "\n".join([summary["Subject"], *people, text])


FIELDS: dict[str, Callable[[dict[str, Any], str], str]] = {
    "": _everything,
    "to": _addresses("To"),
    "cc": _addresses("Cc"),
    "bcc": _addresses("Bcc"),
    "reply-to": _addresses("ReplyTo"),
    "from": _sender,
    "subject": lambda summary, _: str(summary["Subject"]),
    "message-id": lambda summary, _: str(summary["MessageID"]),
}
