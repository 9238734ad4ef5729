"""Metadata: changes are merged, names of secrets are recognised however they are written."""

from collections.abc import Mapping

import pytest
from common.metadata import MOST_NAMES, looks_secret, merge_metadata
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.sampled_from([f"name_{number}" for number in range(MOST_NAMES)])
TEXTS = st.text(min_size=1, max_size=5)


@given(st.dictionaries(NAMES, TEXTS), st.lists(st.dictionaries(NAMES, st.none() | TEXTS)))
def test_changes_merged_one_by_one_give_what_was_set_last(
    metadata: dict[str, str], changes: list[dict[str, str | None]]
) -> None:
    expected: dict[str, str | None] = {**metadata}
    for each in changes:
        metadata = merge_metadata(metadata, each)
        expected |= each
    assert metadata == {name: value for name, value in expected.items() if value is not None}


@given(st.dictionaries(NAMES, TEXTS), st.dictionaries(NAMES, st.none() | TEXTS))
def test_a_change_that_is_merged_again_changes_nothing(
    metadata: Mapping[str, str], changes: Mapping[str, str | None]
) -> None:
    merged = merge_metadata(metadata, changes)
    assert merge_metadata(merged, changes) == merged


def test_a_name_can_be_replaced_but_not_added_when_there_are_fifty() -> None:
    full = {f"name_{number}": "x" for number in range(MOST_NAMES)}
    assert len(merge_metadata(full, {"name_0": None, "another": "y"})) == MOST_NAMES
    with pytest.raises(ValueError, match="at most 50"):
        merge_metadata(full, {"another": "y"})


SECRETS = [
    *(["password"], ["passwd"], ["pass", "phrase"], ["user", "password"], ["client", "secret"], ["secrets"], ["token"]),
    *(["access", "token"], ["api", "key"], ["private", "key"], ["card", "number"], ["card", "no"], ["cc", "num"]),
    *(["credit", "card"], ["cvv"], ["cvv2"], ["cvc"], ["card", "security", "code"], ["credentials"], ["pwd"], ["pin"]),
]


@given(st.sampled_from(SECRETS), st.sampled_from(["", "_", "-", ".", "__", "-.", "camel"]), st.booleans())
def test_a_name_of_a_secret_is_recognised_in_any_spelling(words: list[str], separator: str, upper: bool) -> None:
    if separator == "camel":
        name = words[0] + "".join(word.capitalize() for word in words[1:])
    else:
        name = separator.join(words)
        name = name.upper() if upper else name
    assert looks_secret(name), name


@pytest.mark.parametrize(
    "name",
    [
        *("secretary", "postcard_notes", "discard_note", "order.number", "channel", "gift_wrap", "pvc_colour"),
        *("enamel_pin", "pan_size", "compass", "hotpot", "lesson", "po-number", "batch", "cart_id", "Key", "passport"),
    ],
)
def test_an_ordinary_name_is_no_secret(name: str) -> None:
    assert not looks_secret(name)
