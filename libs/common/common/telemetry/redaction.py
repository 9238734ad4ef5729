"""Removes secrets and e-mail addresses from texts that leave the process: log lines, spans."""

import re
from functools import cache

_SECRET_NAME = re.compile(r"(api_?key|secret|password|token|authorization|dsn|database_url)$", re.IGNORECASE)
_EMAIL = re.compile(r"[^\s@<>\"',;:=(]+@[^\s@<>\"',;)]+\.[A-Za-z]{2,}")
_URL_PASSWORD = re.compile(r"(://[^\s:/@]+:)[^\s@/]+@")
# `client_0123456789ab.…` is the form of keys made by the services, `ak_client_01234567.…` of those of the local stack.
_API_KEY = re.compile(r"\b([a-z]+(?:_[a-z]+)?_[0-9a-f]{8,})\.[\w-]{16,}")


@cache  # bounded: field names are literals in our code
def is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def without_secrets(text: str) -> str:
    """The text without e-mail addresses, API keys and the passwords of URLs."""
    if "@" in text:
        text = _EMAIL.sub("[address]", _URL_PASSWORD.sub(r"\1[redacted]@", text))
    return _API_KEY.sub(r"\1.[redacted]", text) if "." in text else text
