"""The page of discrepancies: an operator acknowledges one, with a reason."""

from uuid import uuid4

from common.access.auth import Role
from support.console.system import System


async def test_an_operator_acknowledges_a_discrepancy_and_others_see_the_decision(whole_system: System) -> None:
    refunds = whole_system.gateways["refunds"]
    statement = 'INSERT INTO discrepancies (id, "check", subject, details) VALUES ($1, $2, $3, $4)'
    await refunds.pool.execute(statement, uuid4(), "book_disagrees", "payment 4711", {"problem": "paid back in excess"})
    manager, operator = await whole_system.logged_in(Role.MANAGER), await whole_system.logged_in(Role.OPS)
    address = "/findings?service=refunds&check=book_disagrees"

    seen = await manager.open(address)
    assert "payment 4711" in seen.text
    assert not [button for button in seen.buttons if "Acknowledge" in button]

    stale = await operator.open(address)
    changed = "UPDATE discrepancies SET details = $1 WHERE subject = 'payment 4711'"
    await refunds.pool.execute(changed, {"problem": "paid back in excess", "excess": 500})
    refused = await operator.press(stale, "Acknowledge", reason="the customer may keep it")
    assert (refused.status, "The discrepancy has changed" in refused.text) == (409, True)

    page = await operator.press(await operator.open(address), "Acknowledge", reason="the customer may keep it")
    assert "the discrepancy is acknowledged" in page.text
    assert "payment 4711" not in (await operator.open(address)).text
    assert "the customer may keep it" in (await manager.open(f"{address}&state=acknowledged")).text
