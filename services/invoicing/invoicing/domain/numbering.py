"""Invoice numbers: one unbroken series per seller, kind and year."""

SERIES = "INV"


def invoice_number(year: int, position: int, *, series: str = SERIES) -> str:
    """`INV-2026-000001`: positions count from 1 without gaps per seller, series and year."""
    if position < 1:
        raise ValueError(f"a series begins with 1, not with {position}")
    return f"{series}-{year}-{position:06d}"
