"""The text patterns of the OpenAPI documents agree with the validation of the services."""

import re
from typing import Any

import pytest
from common.edge.requests.fields import Line, Lines, OptionalLine, OptionalLines
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

BASIC_PLANE = st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])
TEXTS = st.text(BASIC_PLANE) | st.text(
    st.sampled_from("a \n\t\r\x00\x0b\x1b\x85\u00a0\u200b\u2800\u3164\ufe0f"), max_size=4
)


@pytest.mark.parametrize("kind", [Line, Lines, OptionalLine, OptionalLines])
@settings(max_examples=300)
@given(text=TEXTS)
def test_a_text_is_accepted_exactly_when_its_pattern_matches(kind: Any, text: str) -> None:
    adapter: TypeAdapter[str] = TypeAdapter(kind)
    pattern = adapter.json_schema()["pattern"].removesuffix("$") + r"\Z"  # `$` of JSON Schema matches only at the end
    try:
        adapter.validate_python(text)
        is_accepted = True
    except ValidationError:
        is_accepted = False
    # Blanks at both ends are removed before the check for control characters: such a text may be accepted although
    # the pattern does not match.
    assert is_accepted == (re.search(pattern, text) is not None) or (is_accepted and text != text.strip())
