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
@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_a_text_is_accepted_exactly_when_its_pattern_matches(kind: Any, text: str) -> None:
    adapter: TypeAdapter[str] = TypeAdapter(kind)
    pattern = adapter.json_schema()["pattern"].removesuffix("$") + r"\Z"  # JSON Schema's `$` is the very end
    try:
        adapter.validate_python(text)
        taken = True
    except ValidationError:
        taken = False
    # Blanks at the ends are taken off before controls are looked for, so a text may be better than its pattern says.
    assert taken == (re.search(pattern, text) is not None) or (taken and text != text.strip())
