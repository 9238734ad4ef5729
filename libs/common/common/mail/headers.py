"""Header lines of an e-mail, written so that whoever reads them finds exactly the text that was given.

The header classes of Python's `email` package read every value before they write it: what looks like an encoded word
(RFC 2047), a quoted string or a list of addresses in a customer's or a seller's text would become one.
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
    return f"{name}: {_as_it_is(name, text) or _encoded(name, text)}\r\n"


def mailbox_header(name: str, mailbox: Mailbox) -> str:
    """A header whose value is one address and its name. Raises `ValueError` for control characters."""
    if not mailbox.name:
        return f"{name}: {mailbox.address}\r\n"
    shown = _as_it_is(name, mailbox.name)
    if shown is None:
        shown = _encoded(name, mailbox.name)
    elif not _WORDS.fullmatch(shown):
        shown = '"' + _QUOTED_CHARACTER.sub(r"\\\1", shown) + '"'
    return f"{name}: {shown}\r\n <{mailbox.address}>\r\n"


def _as_it_is(name: str, text: str) -> str | None:
    """The text, where no reader could take it for anything else; quotes apart."""
    if CONTROL_CHARACTER.search(text):
        raise ValueError(f"the header {name} has control characters")
    fits = len(name) + len(text) + 2 <= _LONGEST_LINE
    return text if fits and "=?" not in text and _ASCII_LINE.fullmatch(text) else None


def _encoded(name: str, text: str) -> str:
    """Encoded words, each on a line of its own."""
    return Header(text, "utf-8", maxlinelen=_LONGEST_LINE, header_name=name).encode(linesep="\r\n")
