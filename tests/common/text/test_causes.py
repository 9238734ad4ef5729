"""The cause of an error: what differs between occurrences is replaced, and what tells causes apart stays."""

from datetime import UTC, datetime

import pytest
from common.edge.requests.fields import Line
from common.text.causes import LONGEST_CAUSE, UNCLASSIFIED, cause_of, shown_cause, stored_cause
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

# The field of a request that names a cause.
FIELD: TypeAdapter[str] = TypeAdapter(Line)
# Letters, blanks, controls, surrogates, and characters that are displayed as nothing.
ANY_CHARACTER = "abc 7'(\t\n\x00\x1b\x85\xa0\xad\u2028\u200b\u202e\u2800\u3164\ud800\U000e0001é漢"
# What differs between two occurrences of one cause, by what it is.
WORDS = st.text("abcdefghij ", min_size=1, max_size=20)
VARIABLE = {
    # Other than 400 to 599, which may be statuses of HTTP.
    "<number>": st.one_of(st.integers(0, 399), st.integers(600, 10**12), st.decimals(0, 10**6, places=2)).map(str),
    "<id>": st.one_of(
        st.uuids().map(str),
        st.uuids().map(lambda each: f"0x{each.hex[:4]}7f{each.hex[:6]}"),
        st.uuids().map(lambda each: f"pi_3N{each.hex[:14]}"),
        st.uuids().map(lambda each: f"9f{each.hex}"),
    ),
    "<address>": st.one_of(
        st.from_regex(r"\A[a-z]{1,8}[.+]?[a-z0-9]{1,8}@[a-z]{1,8}\.example\Z"),
        st.from_regex(r"\Ahttps?://[a-z]{1,8}\.example(:[0-9]{4})?/[a-z0-9/?=]{0,9}\Z"),
        st.ip_addresses(v=4).map(str),
        st.ip_addresses(v=4).map(lambda each: f"{each}:5432"),
    ),
    "<time>": st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
        datetime.isoformat
    ),
    "<text>": st.one_of(WORDS.map(lambda each: f"'{each}'"), WORDS.map(lambda each: f'"{each}"')),
}
TEMPLATES = st.sampled_from(
    [
        "Timeout: no answer from {} in time",
        "Refused: {}",
        "Overdrawn: refund of {}, which is too much",
        "MailNotSent: the server answered 550 ({}) to the sender's address",
        "Error: (key)=({}) already exists.",
    ]
)


@given(TEMPLATES, st.sampled_from(sorted(VARIABLE)), st.data())
def test_errors_that_differ_only_in_a_variable_part_have_one_cause(
    template: str, placeholder: str, data: st.DataObject
) -> None:
    first, second = (data.draw(VARIABLE[placeholder]) for _ in range(2))
    assert cause_of(template.format(first)) == cause_of(template.format(second)) == template.format(placeholder)


@given(st.text(max_size=3_000))
def test_the_cause_of_any_error_is_one_short_line(error: str) -> None:
    cause = cause_of(error)
    assert len(cause) <= LONGEST_CAUSE
    assert len(cause.splitlines()) <= 1
    assert stored_cause(shown_cause(cause)) == cause


@given(st.text(st.sampled_from(ANY_CHARACTER), max_size=LONGEST_CAUSE + 60), st.integers(0, LONGEST_CAUSE))
@example("k" * (LONGEST_CAUSE - 1) + " and cold", 0)
@example("E('')", 0)
@example(UNCLASSIFIED, 0)
def test_a_cause_is_its_own_filter_wherever_it_is_cut(error: str, before: int) -> None:
    cause = cause_of("k" * before + error)
    assert FIELD.validate_python(shown_cause(cause)) == shown_cause(cause)
    assert stored_cause(FIELD.validate_python(shown_cause(cause))) == cause


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (
            "Declined: 402 card_declined: The refund was declined by the card's issuer.",
            "Declined: 402 card_declined: The refund was declined by the card's issuer.",
        ),
        ("CheckViolationError('the check of row 7')", "CheckViolationError: the check of row <number>"),
        ("WebhookFailed: the webhook answered 503", "WebhookFailed: the webhook answered 503"),
        ("WebhookFailed: the webhook answered 404", "WebhookFailed: the webhook answered 404"),
        ("KeyError: 404 of 500", "KeyError: 404 of <number>"),
        ("RenderingFailed: no document within 30 s", "RenderingFailed: no document within <number> s"),
        ("TimeoutError: after 1.5s or 200ms", "TimeoutError: after <number> or <number>"),
        ("UnicodeError: utf8 of vase-12", "UnicodeError: utf<number> of vase-<number>"),
        ("Gone: [2001:db8::1]:80 and ::1", "Gone: [<address>]:<number> and <address>"),
        ("two\nlines   here", "two lines here"),
        ("TimeoutError: ", "TimeoutError:"),
        ("", ""),
    ],
)
def test_what_tells_causes_apart_stays(error: str, cause: str) -> None:
    assert cause_of(error) == cause
