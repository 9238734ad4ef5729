"""Faults of the mailbox on demand."""

from email.message import EmailMessage

import aiosmtplib
import httpx
import pytest


async def set_fault(mailbox: httpx.AsyncClient, **fault: object) -> None:
    response = await mailbox.post("/sandbox/faults", json=fault)
    assert response.status_code == 201, response.text


async def message_count(mailbox: httpx.AsyncClient) -> int:
    return int((await mailbox.get("/api/v1/messages")).json()["total"])


@pytest.mark.parametrize(("mode", "code"), [("refuse", 451), ("reject", 550)])
async def test_a_recipient_is_rejected_as_often_as_configured(
    mailbox: httpx.AsyncClient, smtp: aiosmtplib.SMTP, invoice_mail: EmailMessage, mode: str, code: int
) -> None:
    await set_fault(mailbox, mode=mode, times=2)

    for _ in range(2):
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refusal:
            await smtp.send_message(invoice_mail)
        assert refusal.value.recipients[0].code == code
    assert await message_count(mailbox) == 0
    await smtp.send_message(invoice_mail)

    assert await message_count(mailbox) == 1


async def test_a_fault_affects_only_its_address(
    mailbox: httpx.AsyncClient, smtp: aiosmtplib.SMTP, invoice_mail: EmailMessage
) -> None:
    await set_fault(mailbox, mode="reject", to="Bo@example.com")

    errors, _ = await smtp.send_message(invoice_mail, recipients=["ada@example.org", "bo@example.com"])

    assert errors["bo@example.com"].code == 550
    assert await message_count(mailbox) == 1
    assert (await mailbox.get("/sandbox/faults")).json() == {
        "faults": [{"mode": "reject", "times": None, "to": "Bo@example.com"}]
    }


async def test_a_message_is_stored_before_a_dropped_connection(
    mailbox: httpx.AsyncClient, smtp: aiosmtplib.SMTP, invoice_mail: EmailMessage
) -> None:
    await set_fault(mailbox, mode="drop_after_data", times=1, to="ada@example.org")

    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await smtp.send_message(invoice_mail)
    assert await message_count(mailbox) == 1

    await smtp.connect()
    await smtp.send_message(invoice_mail)
    assert await message_count(mailbox) == 2


async def test_the_mailbox_rejects_faults_of_the_gateway(mailbox: httpx.AsyncClient) -> None:
    response = await mailbox.post("/sandbox/faults", json={"mode": "decline"})
    assert response.status_code == 400
    assert "drop_after_data" in response.json()["error"]["message"]
