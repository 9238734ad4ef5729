"""Formats header lines of an e-mail so that their readers decode exactly the given text.

The header classes of Python's `email` package parse a value before they format it: what looks like an encoded word
(RFC 2047), a quoted string or a list of addresses in somebody's text would become one.
"""

import re
from email.header import Header

from common.text.email_address import CONTROL_CHARACTER, Mailbox

_LONGEST_LINE = 76
_ASCII_LINE = re.compile(r"(?! )[ -~]*(?<! )")
_WORDS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_QUOTED_CHARACTER = re.compile(r'(["\\])')


def text_header(name: str, text: str) -> str:
    """A header whose value is a text, such as the subject. Raises `ValueError` for control characters."""
    return f"{name}: {_unencoded(name, text) or _encoded(name, text)}\r\n"


def mailbox_header(name: str, mailbox: Mailbox) -> str:
    """A header whose value is one address and its name. Raises `ValueError` for control characters."""
    if not mailbox.name:
        return f"{name}: {mailbox.address}\r\n"
    shown = _unencoded(name, mailbox.name)
    if shown is None:
        shown = _encoded(name, mailbox.name)
    elif not _WORDS.fullmatch(shown):
        shown = '"' + _QUOTED_CHARACTER.sub(r"\\\1", shown) + '"'
    return f"{name}: {shown}\r\n <{mailbox.address}>\r\n"


def _unencoded(name: str, text: str) -> str | None:
    """The text if no reader can decode it as anything else (quotes apart), or None."""
    if CONTROL_CHARACTER.search(text):
        raise ValueError(f"the header {name} has control characters")
    fits = len(name) + len(text) + 2 <= _LONGEST_LINE
    return text if fits and "=?" not in text and _ASCII_LINE.fullmatch(text) else None


def _encoded(name: str, text: str) -> str:
    """The text as encoded words, one per line."""
    return Header(text, "utf-8", maxlinelen=_LONGEST_LINE, header_name=name).encode(linesep="\r\n")
