"""The mailbox: messages received over SMTP can be read with Mailpit's API."""

from email import message_from_bytes
from email.message import EmailMessage

import aiosmtplib
import httpx
import pytest


async def send(smtp: aiosmtplib.SMTP, subject: str, to: str = "ada@example.org", text: str = "Hello") -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "billing@articurated.example", to, subject
    mail.set_content(text)
    await smtp.send_message(mail)


async def subjects(mailbox: httpx.AsyncClient, query: str) -> list[str]:
    result = (await mailbox.get("/api/v1/search", params={"query": query})).raise_for_status().json()
    assert result["messages_count"] == result["count"] == len(result["messages"])
    return [message["Subject"] for message in result["messages"]]


async def test_an_invoice_is_listed_as_mailpit_lists_it(
    mailbox: httpx.AsyncClient, smtp: aiosmtplib.SMTP, invoice_mail: EmailMessage
) -> None:
    await smtp.send_message(invoice_mail)

    page = (await mailbox.get("/api/v1/messages")).json()

    assert {name: page[name] for name in page.keys() - {"messages"}} == {
        "total": 1,
        "unread": 1,
        "count": 1,
        "messages_count": 1,
        "messages_unread": 1,
        "start": 0,
        "tags": [],
    }
    summary = page["messages"][0]
    assert summary["MessageID"] == "invoice-000001@articurated.example"
    assert summary["From"] == {"Name": "ArtiCurated", "Address": "billing@articurated.example"}
    assert summary["To"] == [{"Name": "Ada Łukasiewicz", "Address": "ada@example.org"}]
    assert summary["Subject"] == "Your invoice INV-2026-000001 \N{EN DASH} thank you"
    assert summary["Snippet"] == "Dear Ada Łukasiewicz, the invoice for your blue vase is attached."
    assert summary["Attachments"] == 1
    assert summary["Size"] > 500
    assert summary["Created"].endswith("Z")


async def test_an_invoice_is_shown_with_its_texts_and_its_pdf(
    mailbox: httpx.AsyncClient, smtp: aiosmtplib.SMTP, invoice_mail: EmailMessage
) -> None:
    await smtp.send_message(invoice_mail)
    message_id = (await mailbox.get("/api/v1/messages")).json()["messages"][0]["ID"]

    message = (await mailbox.get(f"/api/v1/message/{message_id}")).json()

    assert message["Text"].strip() == "Dear Ada Łukasiewicz, the invoice for your blue vase is attached."
    assert "<b>invoice</b>" in message["HTML"]
    assert message["Date"] == "2026-11-22T09:00:00Z"
    assert message["ReturnPath"] == "billing@articurated.example"
    assert message["Inline"] == []
    assert message["Attachments"] == [
        {
            "PartID": "2",
            "FileName": "INV-2026-000001.pdf",
            "ContentType": "application/pdf",
            "ContentID": "",
            "Size": len(b"%PDF-1.7 invoice"),
        }
    ]
    pdf = await mailbox.get(f"/api/v1/message/{message_id}/part/2")
    assert (pdf.content, pdf.headers["content-type"]) == (b"%PDF-1.7 invoice", "application/pdf")
    html = await mailbox.get(f"/api/v1/message/{message_id}/part/1.2")
    assert html.headers["content-security-policy"] == "sandbox"
    raw = await mailbox.get(f"/api/v1/message/{message_id}/raw")
    assert message_from_bytes(raw.content)["Message-ID"] == invoice_mail["Message-ID"]


async def test_messages_are_paged_newest_first(mailbox: httpx.AsyncClient, smtp: aiosmtplib.SMTP) -> None:
    for number in range(5):
        await send(smtp, f"Invoice {number}")

    page = (await mailbox.get("/api/v1/messages", params={"start": 1, "limit": 2})).json()

    assert [message["Subject"] for message in page["messages"]] == ["Invoice 3", "Invoice 2"]
    assert (page["total"], page["count"], page["start"]) == (5, 2, 1)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("to:ada@example.org", ["Refund", "Invoice of a vase"]),
        ("to:ADA@example.org subject:refund", ["Refund"]),
        ('subject:"of a vase"', ["Invoice of a vase"]),
        ("from:billing -to:ada", ["Invoice of a bowl"]),
        ("celadon", ["Invoice of a bowl"]),
        ("subject:celadon", []),
        ("note:celadon", []),
    ],
)
async def test_search_supports_the_terms_of_mailpit(
    mailbox: httpx.AsyncClient, smtp: aiosmtplib.SMTP, query: str, expected: list[str]
) -> None:
    await send(smtp, "Invoice of a vase")
    await send(smtp, "Invoice of a bowl", to="bo@example.com", text="Celadon, 12th century")
    await send(smtp, "Refund")

    assert await subjects(mailbox, query) == expected


async def test_a_message_is_found_by_its_message_id(
    mailbox: httpx.AsyncClient, smtp: aiosmtplib.SMTP, invoice_mail: EmailMessage
) -> None:
    await smtp.send_message(invoice_mail)

    assert len(await subjects(mailbox, "message-id:<invoice-000001@articurated.example>")) == 1
    assert len(await subjects(mailbox, "message-id:invoice-000001@articurated.example")) == 1
    assert await subjects(mailbox, "message-id:invoice-000002@articurated.example") == []


@pytest.mark.parametrize("query", ["", "tag:urgent", "to:"])
async def test_an_unsupported_search_is_rejected(mailbox: httpx.AsyncClient, query: str) -> None:
    response = await mailbox.get("/api/v1/search", params={"query": query})
    assert response.status_code == 400
    assert response.json()["Error"]


async def test_a_bcc_recipient_is_taken_from_the_envelope(
    mailbox: httpx.AsyncClient, smtp: aiosmtplib.SMTP, invoice_mail: EmailMessage
) -> None:
    await smtp.send_message(invoice_mail, recipients=["ada@example.org", "archive@articurated.example"])

    summary = (await mailbox.get("/api/v1/messages")).json()["messages"][0]
    assert summary["Bcc"] == [{"Name": "", "Address": "archive@articurated.example"}]
    assert len(await subjects(mailbox, "bcc:archive")) == 1


async def test_a_mail_without_any_headers_is_shown_too(mailbox: httpx.AsyncClient, smtp: aiosmtplib.SMTP) -> None:
    await smtp.sendmail("billing@articurated.example", ["ada@example.org"], b"\r\nbare\r\n")

    summary = (await mailbox.get("/api/v1/messages")).json()["messages"][0]
    message = (await mailbox.get(f"/api/v1/message/{summary['ID']}")).json()

    assert (summary["From"], summary["To"], summary["Subject"]) == (None, [], "")
    assert message["Text"].strip() == "bare"
    assert message["Date"] == summary["Created"]


async def test_an_unknown_character_set_and_a_forwarded_mail_are_shown_too(
    mailbox: httpx.AsyncClient, smtp: aiosmtplib.SMTP, invoice_mail: EmailMessage
) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.com", "b@example.com", "Fwd"
    mail.set_content("see below")
    mail.set_param("charset", "x-klingon")
    mail.add_attachment(invoice_mail)
    await smtp.send_message(mail)

    message_id = (await mailbox.get("/api/v1/messages")).json()["messages"][0]["ID"]
    message = (await mailbox.get(f"/api/v1/message/{message_id}")).json()

    assert message["Text"].strip() == "see below"
    assert [part["ContentType"] for part in message["Attachments"]] == ["message/rfc822"]
    assert message["Attachments"][0]["Size"] > 500


async def test_selected_messages_or_all_can_be_deleted(mailbox: httpx.AsyncClient, smtp: aiosmtplib.SMTP) -> None:
    for number in range(3):
        await send(smtp, f"Invoice {number}")
    newest = (await mailbox.get("/api/v1/messages")).json()["messages"][0]["ID"]

    await mailbox.request("DELETE", "/api/v1/messages", json={"IDs": [newest, "unknown"]})
    assert await subjects(mailbox, "Invoice") == ["Invoice 1", "Invoice 0"]
    assert (await mailbox.get(f"/api/v1/message/{newest}")).status_code == 404

    assert (await mailbox.delete("/api/v1/messages")).text == "ok"
    assert (await mailbox.get("/api/v1/messages")).json()["messages"] == []


@pytest.mark.parametrize("body", [b"no json", b"[]", b'{"IDs": "all"}'])
async def test_an_invalid_deletion_deletes_nothing(
    mailbox: httpx.AsyncClient, smtp: aiosmtplib.SMTP, body: bytes
) -> None:
    await send(smtp, "Invoice")

    assert (await mailbox.request("DELETE", "/api/v1/messages", content=body)).status_code == 400
    assert await subjects(mailbox, "Invoice") == ["Invoice"]


@pytest.mark.parametrize("path", ["message/00", "message/00/raw", "message/00/part/1", "messages?limit=-1"])
async def test_a_missing_message_is_an_error_in_mailpits_format(mailbox: httpx.AsyncClient, path: str) -> None:
    response = await mailbox.get(f"/api/v1/{path}")
    assert response.status_code in {400, 404}
    assert response.json()["Error"]


async def test_a_missing_part_is_404(mailbox: httpx.AsyncClient, smtp: aiosmtplib.SMTP) -> None:
    await send(smtp, "Invoice")
    message_id = (await mailbox.get("/api/v1/messages")).json()["messages"][0]["ID"]

    assert (await mailbox.get(f"/api/v1/message/{message_id}/part/7")).status_code == 404


async def test_the_page_of_a_mail_runs_none_of_its_scripts(
    mailbox: httpx.AsyncClient, smtp: aiosmtplib.SMTP, invoice_mail: EmailMessage
) -> None:
    await smtp.send_message(invoice_mail)
    await send(smtp, "<script>alert(1)</script>", text="<script>alert(2)</script>")
    newest, oldest = (message["ID"] for message in (await mailbox.get("/api/v1/messages")).json()["messages"])

    index = (await mailbox.get("/")).text
    pages = [(await mailbox.get(f"/view/{message_id}")).text for message_id in (newest, oldest)]

    assert "Your invoice INV-2026-000001" in index
    assert f"/view/{oldest}" in index
    assert "INV-2026-000001.pdf" in pages[1]
    assert "<iframe sandbox=''" in pages[1]
    assert all("<script>" not in page for page in [index, *pages])
