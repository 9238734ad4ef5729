"""Mail over SMTP, against a real server that refuses when told to."""

import ssl
from collections.abc import AsyncIterator, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from common.mailer import Attachment, Mail, Mailer, MailNotSent, MailRefused
from local_stack.ports import free_ports

MAIL = Mail("anna@example.com", "Ihre Rechnung für Vase №1", "Grüße aus der Töpferei\n", "invoice-INV-2026-000001")
SENDER = "ArtiCurated <orders@articurated.example>"


class Server:
    """Answers with `reply` where it is set, else keeps what it is sent."""

    def __init__(self) -> None:
        self.reply: str | None = None
        self.kept: list[EmailMessage] = []

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        if self.reply is not None:
            return self.reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.kept.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def port(server: Server) -> Iterator[int]:
    controller = Controller(server, hostname="127.0.0.1", port=free_ports(1)[0])
    controller.start()
    yield controller.port
    controller.stop()


@pytest_asyncio.fixture
async def mailer(port: int) -> AsyncIterator[Mailer]:
    yield Mailer("127.0.0.1", port, SENDER, timeout=2)


async def test_a_mail_arrives_as_it_was_written_with_its_attachment(mailer: Mailer, server: Server) -> None:
    await mailer.send(
        Mail(MAIL.to, MAIL.subject, MAIL.text, MAIL.message_key, [Attachment("INV.pdf", b"%PDF-1.7 \xff")])
    )
    [message] = server.kept
    assert (message["From"], message["To"], message["Subject"]) == (SENDER, MAIL.to, MAIL.subject)
    body = message.get_body()
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == MAIL.text
    [attachment] = message.iter_attachments()
    assert attachment.get_filename() == "INV.pdf"
    assert attachment.get_content() == b"%PDF-1.7 \xff"


async def test_a_mail_that_is_sent_again_can_be_told_by_its_id(mailer: Mailer, server: Server) -> None:
    await mailer.send(MAIL)
    await mailer.send(MAIL)
    assert {message["Message-ID"] for message in server.kept} == {"<invoice-INV-2026-000001@articurated.example>"}


@pytest.mark.parametrize("bad", ["a\r\nBcc: all@example.com", "a\nb", "a\0b", "a\x1bb", "a\u2028b"])
@pytest.mark.parametrize("field", ["to", "subject", "message_key", "attachment"])
async def test_what_could_forge_a_header_is_refused_for_good(
    mailer: Mailer, server: Server, field: str, bad: str
) -> None:
    given: dict[str, Any] = {"to": MAIL.to, "subject": "x", "text": "x", "message_key": "x"}
    changed = {"attachments": [Attachment(bad, b"")]} if field == "attachment" else {field: bad}
    with pytest.raises(MailRefused):
        await mailer.send(Mail(**{**given, **changed}))
    assert server.kept == []


@pytest.mark.parametrize(
    "address", ["", "anna", "anna@", "@example.com", "a b@example.com", "a@b,c@d", "anna@exämple.com"]
)
async def test_a_malformed_address_is_refused_and_not_repeated(mailer: Mailer, address: str) -> None:
    with pytest.raises(MailRefused, match=r"^the address is malformed$"):
        await mailer.send(Mail(address, "x", "x", "x"))


async def test_a_server_that_is_busy_may_be_asked_again(mailer: Mailer, server: Server) -> None:
    server.reply = "451 anna@example.com is busy"
    with pytest.raises(MailNotSent) as failed:
        await mailer.send(MAIL)
    assert "anna" not in str(failed.value)


async def test_a_server_that_says_never_is_believed(mailer: Mailer, server: Server) -> None:
    server.reply = "550 no anna@example.com here"
    with pytest.raises(MailRefused) as refused:
        await mailer.send(MAIL)
    assert "anna" not in str(refused.value)


async def test_a_server_that_is_away_may_be_asked_again() -> None:
    with pytest.raises(MailNotSent, match=r"127\.0\.0\.1:9"):
        await Mailer("127.0.0.1", 9, SENDER, timeout=2).send(MAIL)


LOGIN = ("articurated", "correct horse")


@pytest.fixture
def certified(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ssl.SSLContext:
    """The mail server's side of TLS; this process trusts who signed its certificate."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: LoginPassword) -> AuthResult:
    return AuthResult(success=(given.login.decode(), given.password.decode()) == LOGIN, handled=False)


@pytest.fixture
def guarded_port(server: Server, certified: ssl.SSLContext) -> Iterator[int]:
    """Of a server that takes nothing without STARTTLS and a login."""
    controller = Controller(
        server, hostname="127.0.0.1", port=free_ports(1)[0], tls_context=certified, require_starttls=True,
        authenticator=authenticate, auth_required=True,
    )  # fmt: skip
    controller.start()
    yield controller.port
    controller.stop()


async def test_a_login_goes_out_over_starttls(guarded_port: int, server: Server) -> None:
    await Mailer("127.0.0.1", guarded_port, SENDER, login=LOGIN, timeout=2).send(MAIL)
    assert len(server.kept) == 1


async def test_a_refused_login_can_be_mended_so_the_mail_is_tried_again(guarded_port: int, server: Server) -> None:
    with pytest.raises(MailNotSent, match="refused the login") as failed:
        await Mailer("127.0.0.1", guarded_port, SENDER, login=("articurated", "wrong"), timeout=2).send(MAIL)
    assert "wrong" not in str(failed.value)
    assert server.kept == []


async def test_a_login_never_goes_out_in_clear(port: int, server: Server) -> None:
    with pytest.raises(MailNotSent):
        await Mailer("127.0.0.1", port, SENDER, login=LOGIN, timeout=2).send(MAIL)
    assert server.kept == []


async def test_a_server_may_speak_tls_from_the_first_byte(server: Server, certified: ssl.SSLContext) -> None:
    controller = Controller(server, hostname="127.0.0.1", port=free_ports(1)[0], ssl_context=certified)
    controller.start()
    try:
        await Mailer("127.0.0.1", controller.port, SENDER, implicit_tls=True, timeout=2).send(MAIL)
    finally:
        controller.stop()
    assert len(server.kept) == 1
