"""Mailpit's search terms, as far as the sandbox has them: all terms must match; `-term` must not."""

import re
from collections.abc import Callable
from typing import Any

TERM = re.compile(
    r'(?=\S)(?P<negated>[-!])?(?:(?P<field>[a-z-]+):)?(?:"(?P<phrase>[^"]*)"|(?P<word>\S*))', re.IGNORECASE
)
UNSUPPORTED = {"tag", "is", "has", "before", "after", "larger", "smaller"}

Matcher = Callable[[dict[str, Any], str], bool]
"""Takes a message's summary and its text."""


class InvalidSearchError(ValueError):
    """The query is empty or has a filter that the sandbox does not know."""


def parse_search(query: str) -> Matcher:
    """Texts are compared without regard to case; a field's value is searched for anywhere in it, as Mailpit does."""
    terms = [_parse_term(term) for term in TERM.finditer(query)]
    if not terms:
        raise InvalidSearchError("no search query")
    return lambda summary, text: all(matches(summary, text) for matches in terms)


def _parse_term(term: re.Match[str]) -> Matcher:
    field = (term["field"] or "").lower()
    sought = (term["phrase"] if term["phrase"] is not None else term["word"]).casefold()
    if field in UNSUPPORTED:
        raise InvalidSearchError(f"the sandbox has no filter {field}:")
    if field and field not in FIELDS:
        field, sought = "", f"{field}:{sought}"
    if field == "message-id":
        sought = sought.strip("<>")
    if not sought:
        raise InvalidSearchError(f"nothing to search for in {term[0]!r}")
    negated, searched = bool(term["negated"]), FIELDS[field]
    return lambda summary, text: (sought in searched(summary, text).casefold()) != negated


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
