"""The rule for business nouns: common names no business object, so that another service needs no change in it.

Names, texts, docstrings and comments of common are read. "Order" is also a sequence, and "returns" is also a verb:
these two count only where they mean the business object.
"""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from architecture.source_files import SourceFile, source_files

_ANYWHERE = (
    r"invoic(?:es?|ing)|refund(?:s|ed|ing)?|shipments?|shipped|warehouses?|payments?|paid|customers?|sellers?|buyers?|"
    r"carriers?|parcels?|credit notes?|price[sd]?|products?|orders"
)
# An order that can be owned or numbered, and not a sequence: `order_id`, `OrderShipped`, "an order", "the order's".
_ORDER = r"order (?:id|ids|number|status|state|line|lines|item|items|total)|an order|order's|order\.\w+"
_RETURN = r"(?:a|the|each|every) returns?(?= (?:is|was|has|of)\b)|return (?:id|ids|status|state|reason|not allowed)"
_NOUN = re.compile(rf"\b(?:{_ANYWHERE}|{_ORDER}|{_RETURN})\b", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# From Python 3.12 on, the texts of an f-string are tokens of their own.
_READ = {tokenize.NAME, tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}


def business_nouns(root: Path, allowed: dict[str, set[str]]) -> list[str]:
    """`allowed` has the nouns that a file may contain, by the beginning of its path."""
    return [
        f"{file.name}:{line}: {noun}"
        for file in source_files(root)
        for line, noun in _nouns(file)
        if not any(file.name.startswith(place) and noun.lower() in nouns for place, nouns in allowed.items())
    ]


def _nouns(file: SourceFile) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(file.text).readline):
        if token.type in _READ:
            words = _CAMEL.sub(" ", token.string).replace("_", " ")
            for match in _NOUN.finditer(words):
                yield token.start[0] + words.count("\n", 0, match.start()), match[0]
