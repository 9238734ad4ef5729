"""A stack that is stopped during work continues where it stopped."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from demo import journeys
from demo.client import Shop
from demo.own_stack import fresh_stack, running
from support.processes.stack import MEASURED


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_work_that_a_stop_interrupts_is_completed_after_the_next_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATE_LIMIT_PER_MINUTE", "0")
    monkeypatch.delenv(MEASURED, raising=False)
    with TemporaryDirectory(prefix="articurated-restart-") as temporary:
        folder = Path(temporary) / "stack"
        with fresh_stack(folder) as stack:
            shop = Shop(stack)
            shipped_order = await journeys.place(shop, journeys.example("kept-order"))
            await journeys.pay(shop, shipped_order["id"], "pi_restart_1")
            await journeys.pack(shop, shipped_order["id"])
            cancelled_order = await journeys.place(shop, journeys.example("cancelled-order"))
            await journeys.pay(shop, cancelled_order["id"], "pi_restart_2")
            await journeys.ship(shop, shipped_order["id"])
            await journeys.cancel(shop, cancelled_order["id"], "found one nearer home")
            await shop.close()
        with running(folder) as stack:
            shop = Shop(stack)
            invoice = await journeys.invoice(shop, shipped_order["id"])
            refunded_order = await journeys.refunded(shop, f"/orders/{cancelled_order['id']}")
            [provider_refund] = await journeys.ledger(shop, "pi_restart_2")
            [_mail] = await journeys.mails_about(shop, invoice["invoice_number"])
            await shop.close()
    assert invoice["invoice_number"].endswith("000001")
    assert provider_refund["id"] == refunded_order["refund_transaction_id"]
