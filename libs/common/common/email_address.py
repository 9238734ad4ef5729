"""What counts as an e-mail address: one rule for what is taken at the edge and what is written to later."""

import re

LONGEST = 254
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})+")


def is_email_address(text: str) -> bool:
    """Whether SMTP without extensions carries mail to it (RFC 5321, 4.1.2): ASCII only. That it exists, only a mail
    can tell."""
    return len(text) <= LONGEST and _ADDRESS.fullmatch(text) is not None
