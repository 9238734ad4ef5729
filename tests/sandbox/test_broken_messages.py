"""The mailbox accepts any bytes; a message that cannot be parsed does not hide others."""

import asyncio
from itertools import chain

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sandbox.mailbox.message import read_message
from starlette.responses import JSONResponse

BROKEN = {
    "raw UTF-8 in headers": "From: Käthe <k@x.example>\r\nTo: ü@x.example\r\nSubject: Grüße\r\n\r\nhi".encode(),
    "raw Latin-1 in headers": "To: Jürgen <j@x.example>\r\nSubject: Grüße\r\n\r\nhä".encode("latin-1"),
    "nothing": b"",
    "no headers": b"\r\nbody",
    "empty headers": b"From:\r\nTo:\r\nDate:\r\nSubject:\r\nMessage-ID:\r\n\r\nx",
    "NUL": b"Subject: a\0b\r\nFrom: \0@x\r\n\r\n\0",
    "NUL in a character set": b'Content-Type: text/plain; charset="utf-8\0"\r\n\r\n\xff',
    "lone CR": b"Subject: a\rTo: b@x.example\r\nFrom: a\rb@x.example\r\n\r\nx\ry",
    "no addresses": b'From: ,;<>@@"\r\nTo: (((\r\nCc: undisclosed-recipients:;\r\nReply-To: <@>\r\n\r\nx',
    "no encoded words": b"Subject: =?nope?q?x?= =?utf-8?b?!!!?= =?utf-7?q?+2AA-?=\r\n\r\nx",
    "no date": b"Date: Mon, 99 Foo 99999 99:99:99 +9999\r\n\r\nx",
    "the first date": b"Date: Mon, 1 Jan 0001 00:00:00 +1200\r\n\r\nx",
    "no message id": b"Message-ID: [\xe4\r\n\r\nx",
    "no content type": b'Content-Type: \xff/\xfe; charset="\xe4"\r\nContent-Transfer-Encoding: \xe4\r\n\r\n\xff',
    "a file name in Latin-1": b'Content-Type: a/b\r\nContent-Disposition: attachment; filename="\xe4.pdf"\r\n\r\nx',
    "no known character set": b"Content-Type: text/plain; charset=idna\r\n\r\n\xff",
    "half a surrogate pair": b"Content-Type: text/plain; charset=utf-7\r\n\r\n+2AA-",
    "no boundary": b"Content-Type: multipart/mixed\r\n\r\nx",
    "an unfinished part": b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\n!!!\r\n--b",
    "a broken message within": b"Content-Type: message/rfc822\r\n\r\nSubject: \xe4\r\n\r\nx",
    "nested without end": b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (depth, depth) for depth in range(1200)
    ),
}


async def deliver(address: str, *messages: bytes) -> None:
    """Send the messages unchanged; a client library would correct them."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    envelope = [b"MAIL FROM:<a@x.example>", b"RCPT TO:<ada@example.org>", b"DATA"]
    for command in chain([b"EHLO x"], *([*envelope, message + b"\r\n."] for message in messages), [b"QUIT"]):
        writer.write(command + b"\r\n")
        while (reply := await reader.readline())[3:4] == b"-":
            pass
        assert reply[:1] in b"123", (command[:100], reply)
    writer.close()


@pytest.mark.parametrize("name", BROKEN)
async def test_the_readable_parts_of_a_broken_message_are_shown(
    mailbox: httpx.AsyncClient, mailbox_addresses: dict[str, str], name: str
) -> None:
    await deliver(mailbox_addresses["smtp"], b"Subject: valid\r\nTo: ada@example.org\r\n\r\nx", BROKEN[name])
    messages = (await mailbox.get("/api/v1/messages")).raise_for_status().json()["messages"]
    assert [message["Subject"] for message in messages][1] == "valid"
    result = (await mailbox.get("/api/v1/search", params={"query": "ada"})).raise_for_status().json()
    assert "valid" in [message["Subject"] for message in result["messages"]]
    broken = messages[0]["ID"]
    details = (await mailbox.get(f"/api/v1/message/{broken}")).raise_for_status().json()
    parts = [f"/api/v1/message/{broken}/part/{part['PartID']}" for part in details["Attachments"]]
    for path in ["/", f"/view/{broken}", f"/api/v1/message/{broken}/raw", *parts]:
        (await mailbox.get(path)).raise_for_status()


async def test_raw_utf8_in_headers_is_decoded_as_utf8(
    mailbox: httpx.AsyncClient, mailbox_addresses: dict[str, str]
) -> None:
    await deliver(mailbox_addresses["smtp"], BROKEN["raw UTF-8 in headers"])
    [message] = (await mailbox.get("/api/v1/messages")).raise_for_status().json()["messages"]
    assert (message["Subject"], message["To"]) == ("Grüße", [{"Name": "", "Address": "ü@x.example"}])


headers = st.sampled_from(["From", "To", "Subject", "Date", "Message-ID", "Content-Type", "Content-Disposition", "x"])
fields = st.builds(lambda name, value: f"{name}: ".encode() + value, headers, st.binary(max_size=60))


@given(st.lists(fields, max_size=6), st.binary(max_size=60))
def test_any_bytes_are_accepted_as_a_message(lines: list[bytes], body: bytes) -> None:
    message = read_message("17979cfe362a0000aabbcc", b"\r\n".join([*lines, b"", body]))
    JSONResponse([message.summary(), message.document(), message.text])
