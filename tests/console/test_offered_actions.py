"""The actions that the explanation of an order offers: each is a plain form on the order's page."""

import re

import pytest
from common.access.auth import Role
from support.console.stage import Stage
from support.explanations.causes import CASES
from support.project.documents import ROOT

EXPLANATION = ROOT / "services" / "orders" / "orders" / "explanation"
NOTES = {"manager_notes": "cracks are visible"}
# An injected cause, the button that its explanation offers, and what the person enters.
OFFERED: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("the job of the document is dead", "Replay the job", {}),
    ("the kind invoice-document is paused", "Resume the kind", {}),
    ("Kafka rejects an event of orders", "Publish the event again", {}),
    ("the return is REQUESTED", "Approve the return", NOTES),
    ("the return is REQUESTED", "Reject the return", {**NOTES, "rejection_reason": "policy_violation"}),
    ("a payment of another amount was reported", "Refund the payment", {}),
    (
        "the refund is DECLINED, and declined",
        "Record that it was paid by hand",
        {"reference": "bank transfer 4711", "note": "She has changed her bank."},
    ),
)
REFUSED = ("a record is poison for invoicing", "Replay the record")


async def injected(stage: Stage, name: str) -> str:
    await stage.scene.reset()
    [case] = [case for case in CASES if case.name == name]
    order = await case.inject(stage.scene)
    await stage.scene.deliver(order, "refunds")
    return order


@pytest.mark.parametrize(("cause", "button", "entered"), OFFERED, ids=[row[1] for row in OFFERED])
async def test_an_action_is_done_once_and_then_not_offered_any_more(
    stage: Stage, cause: str, button: str, entered: dict[str, str]
) -> None:
    order = await injected(stage, cause)
    browser = await stage.system.logged_in(Role.OPS)
    page = await browser.open(f"/orders/{order}")

    shown = await browser.press(page, button, **entered)

    assert f"{button}: the request was accepted." in shown.text, shown.text[:2000]
    assert button not in shown.buttons
    again = await browser.press(page, button, **entered)
    assert "This is not possible any more" in again.text


async def test_an_action_that_the_service_refuses_is_shown_with_its_reason(stage: Stage) -> None:
    cause, button = REFUSED
    order = await injected(stage, cause)
    browser = await stage.system.logged_in(Role.OPS)

    shown = await browser.press(await browser.open(f"/orders/{order}"), button)

    assert (shown.status, shown.path) == (409, f"/orders/{order}/act")
    assert "still" in shown.text
    assert button in shown.buttons


@pytest.mark.parametrize("role", [Role.WAREHOUSE, Role.PAYMENTS])
async def test_a_person_without_the_role_is_offered_no_action_of_operators(stage: Stage, role: Role) -> None:
    order = await injected(stage, "the job of the document is dead")
    browser = await stage.system.logged_in(role)

    page = await browser.open(f"/orders/{order}")

    assert "Replay the job" not in page.buttons


def test_every_action_of_the_explanation_is_tested_here() -> None:
    texts = "\n".join(file.read_text() for file in EXPLANATION.glob("*.py"))
    labels = set(re.findall(r'Action\(\s*"([^"]+)", "(?:POST|PATCH)"', texts))
    tested = {button for _, button, _ in OFFERED} | {REFUSED[1]}
    assert labels == tested
