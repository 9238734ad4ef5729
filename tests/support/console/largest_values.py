"""Long values, of which a part is escaped in HTML."""

ID = "8f14e45f-ceea-467f-a0e6-5f2d3a1b2c3d"
AT = "2026-11-30T10:00:00Z"
_WORDS = "CheckViolationError: 'value' of <amount> is \"refused\" by a rule; "


def text(length: int) -> str:
    """Of which a part is escaped in HTML."""
    return (_WORDS * (length // len(_WORDS) + 1))[:length]


def id_of(number: int) -> str:
    return f"{ID[:-6]}{number:06}"
