"""The headline of a finding, which may end with the text of an error, has one full stop."""

import pytest
from orders.explanation.finding import Finding, Severity, State


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("the card is closed", "The refund was declined: the card is closed."),
        ("The card is closed.", "The refund was declined: The card is closed."),
        ("the answer was cut off ...", "The refund was declined: the answer was cut off ...."),
    ],
)
def test_a_sentence_that_ends_with_the_text_of_others_has_one_full_stop(text: str, sentence: str) -> None:
    headline = f"The refund was declined: {text}."
    finding = Finding("refund-declined", Severity.ERROR, State.STUCK, "refunds", headline, "Nothing happens.")
    assert finding.headline == sentence
