"""Query parameters of lists. All functions raise StripeError."""

from collections.abc import Collection, Mapping

from sandbox.payments.stripe.errors import parameter_invalid, parameter_unknown

MAX_LIMIT, DEFAULT_LIMIT = 100, 10


def refuse_unknown(query: Mapping[str, str], known: Collection[str]) -> None:
    for name in query:
        if name.split("[")[0] not in known:
            raise parameter_unknown(name)


def read_limit(query: Mapping[str, str]) -> int:
    text = query.get("limit")
    if text is None:
        return DEFAULT_LIMIT
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_LIMIT:
        raise parameter_invalid(f"limit must be from 1 to {MAX_LIMIT}.", "limit", "parameter_invalid_integer")
    return int(text)


def read_created_from(query: Mapping[str, str]) -> float | None:
    """`created[gte]` or `created[gt]`, in seconds since 1970."""
    for name in query:
        if name.split("[")[0] == "created" and name not in ("created[gte]", "created[gt]"):
            raise parameter_invalid("Only created[gte] and created[gt] are supported.", "created")
    for name, more in (("created[gte]", 0), ("created[gt]", 1)):
        text = query.get(name)
        if text is not None:
            if not text.isascii() or not text.isdigit():
                raise parameter_invalid(f"Invalid timestamp: {text}", "created")
            return int(text) + more
    return None
