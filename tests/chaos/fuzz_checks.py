"""Checks of schemathesis, of which one is adapted to the rules that JSON Schema cannot express, and a hook against the
one request that would end a run: it revokes the key that all others are sent with."""

import os
from typing import Any

import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData
from schemathesis.specs.openapi.checks import positive_data_acceptance

# Messages of a rejection of a request that is valid against its schema: rules for several fields or for decimals.
RULES = (
    "the total must be above 0 and below",
    "must have at most",  # decimals of the currency
    "only a client's key is bound to a customer",
    "must not be given together with a cursor",
    "is not a cursor of this list",
    "must be in the future",
    "must have 1 to 255 visible characters",  # the subject of a key; some spaces are not visible
    "The address must not contain NUL characters",  # in a text of the query
    "Texts must not contain NUL characters",  # in an unknown field of a body; those of known ones are in the document
    "is required with an amount",  # the reference of the payment
    "String should match pattern",  # a sequence of requests fills a path with a value of an earlier response
    "must be * or entity tags in quotation marks",  # schemathesis sends `0`, against the header's pattern
    "This Idempotency-Key was used for another request body",
    "is not one of id,",  # the names in `fields`
    "must have at least",  # letters of a search, conditions of a filter
    "exactly one of order_ids, filter, selection",
    "must not name an order twice",
    "goes with a filter only",
    "must be true with a filter",
    "repeat the dry run",
    "either a filter or a selection must be given",
    "must be given, unless it is a dry run",
    "must be given once",  # schemathesis repeats a parameter that the document separates by commas
    "must be one or more of",
)


@schemathesis.check
def valid_data_is_accepted_or_the_rule_is_named(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> bool | None:
    try:
        return positive_data_acceptance(ctx, response, case)
    except RejectedPositiveData:
        if response.status_code in (400, 422) and any(rule in response.text for rule in RULES):
            return None
        if response.status_code == 412:  # the tag in If-Match is made up
            return None
        raise


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: schemathesis.Case[Any], _kwargs: dict[str, Any]) -> None:
    """Sequences of requests find the prefix of the own key in the list of keys, and revoke it."""
    prefix = str((case.path_parameters or {}).get("prefix", ""))
    if case.method.upper() == "DELETE" and prefix and os.environ["FUZZ_KEY"].startswith(prefix):
        case.path_parameters["prefix"] = "not-the-own-key"
