"""Mail over SMTP to a real server whose replies a test can set."""

import ssl
import string
from collections.abc import AsyncIterator, Iterator
from email import message_from_bytes, message_from_string, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from common.errors import PermanentFailure
from common.mail.mailer import Mailer, MailNotSent
from common.mail.message import Mail, MailRefused, UnusableAddress, mailbox_header
from common.text.email_address import Mailbox
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from local_stack.ports import free_ports
from support.mail.sending import mailer as mailer_to

MAIL = Mail("anna@example.com", "Ihre Rechnung für Vase №1", "Grüße aus der Töpferei\n", "invoice-INV-2026-000001")
SENDER = "ArtiCurated <orders@articurated.example>"


class Server:
    """Responds with `reply` if it is set; otherwise stores the messages that it receives."""

    def __init__(self) -> None:
        self.reply: str | None = None
        self.messages: list[EmailMessage] = []
        self.envelopes: list[tuple[str, list[str]]] = []

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        if self.reply is not None:
            return self.reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))
        self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
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
    yield mailer_to(port, SENDER)


async def test_a_mail_arrives_as_it_was_written_with_its_attachment(mailer: Mailer, server: Server) -> None:
    await mailer.send(Mail(MAIL.to, MAIL.subject, MAIL.text, MAIL.message_key, {"INV.pdf": b"%PDF-1.7 \xff"}))
    [message] = server.messages
    assert (message["From"], message["To"], message["Subject"]) == (SENDER, MAIL.to, MAIL.subject)
    body = message.get_body()
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == MAIL.text
    [attachment] = message.iter_attachments()
    assert attachment.get_filename() == "INV.pdf"
    assert attachment.get_content() == b"%PDF-1.7 \xff"


async def test_a_mail_that_is_sent_again_has_the_same_message_id(mailer: Mailer, server: Server) -> None:
    await mailer.send(MAIL)
    await mailer.send(MAIL)
    assert {message["Message-ID"] for message in server.messages} == {"<invoice-INV-2026-000001@articurated.example>"}


@pytest.mark.parametrize("bad", ["a\r\nBcc: all@example.com", "a\nb", "a\0b", "a\x1bb", "a\u2028b"])
@pytest.mark.parametrize("field", ["to", "subject", "message_key", "attachment"])
async def test_texts_that_could_forge_a_header_fail_permanently(
    mailer: Mailer, server: Server, field: str, bad: str
) -> None:
    fields: dict[str, Any] = {"to": MAIL.to, "subject": "x", "text": "x", "message_key": "x"}
    changes = {"documents": {bad: b""}} if field == "attachment" else {field: bad}
    with pytest.raises(MailRefused):
        await mailer.send(Mail(**{**fields, **changes}))
    assert server.messages == []


@pytest.mark.parametrize(
    "address", ["", "anna", "anna@", "@example.com", "a b@example.com", "a@b,c@d", "ännä@example.com"]
)
async def test_a_malformed_address_fails_permanently_and_is_not_in_the_error(mailer: Mailer, address: str) -> None:
    with pytest.raises(MailRefused, match=r"^the address is malformed$"):
        await mailer.send(Mail(address, "x", "x", "x"))


async def test_a_busy_server_is_a_temporary_failure(mailer: Mailer, server: Server) -> None:
    server.reply = "451 anna@example.com is busy"
    with pytest.raises(MailNotSent) as raised:
        await mailer.send(MAIL)
    assert "anna" not in str(raised.value)


async def test_a_5xx_response_of_the_server_is_a_permanent_failure(mailer: Mailer, server: Server) -> None:
    server.reply = "550 no anna@example.com here"
    with pytest.raises(MailRefused) as raised:
        await mailer.send(MAIL)
    assert "anna" not in str(raised.value)


async def test_an_unreachable_server_is_a_temporary_failure() -> None:
    with pytest.raises(MailNotSent, match=r"127\.0\.0\.1:9"):
        await mailer_to(9, SENDER).send(MAIL)


ATOM_CHARACTERS = string.ascii_letters + string.digits + "!#$%&'*+-/=?^_`{|}~"
atoms = st.text(ATOM_CHARACTERS, min_size=1, max_size=15)
local_parts = st.lists(atoms, min_size=1, max_size=3).map(".".join).filter(lambda text: "=?" not in text)
# All of Unicode except control characters and surrogates; characters with a meaning in headers are more frequent.
texts = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), st.sampled_from("=?_,;:<>()[]@\"\\' \xa0ä№🏺")
    ),
    min_size=1,
    max_size=90,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(local_parts, st.sampled_from(["example.org", "Example.ORG", "a.b-c.example", "xn--mnchen-3ya.example"]))
async def test_the_envelope_has_exactly_the_accepted_address(
    mailer: Mailer, server: Server, local_part: str, domain: str
) -> None:
    address = f"{local_part}@{domain}"
    await mailer.send(Mail(address, "x", "x", "x"))
    assert server.envelopes[-1] == ("orders@articurated.example", [address])
    assert [each.addr_spec for each in server.messages[-1]["To"].addresses] == [address]


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(texts)
@example("=?utf-8?q?Bcc=3A_eve=40example=2Eorg?=")
@example("=?utf-8?b?YQ==?= =?utf-8?b?Yg==?=")
@example('Müller, "Töpfe" & Söhne <eve@example.org>')
@example("a" * 90)
async def test_a_subject_and_a_name_are_decoded_as_they_were_written(mailer: Mailer, server: Server, text: str) -> None:
    await mailer.send(Mail("ada@example.org", text, "x", "x"))
    assert str(server.messages[-1]["Subject"]) == text
    header = mailbox_header("From", Mailbox(text, "ada@example.org"))
    name, address = parseaddr(message_from_string(header)["From"])
    assert (str(make_header(decode_header(name))), address) == (text, "ada@example.org")
    assert max(map(len, header.splitlines())) <= 78


async def test_a_mail_to_an_international_domain_is_sent_to_its_a_label(mailer: Mailer, server: Server) -> None:
    await mailer.send(Mail("user@münchen.example", "x", "x", "x"))
    assert server.envelopes == [("orders@articurated.example", ["user@xn--mnchen-3ya.example"])]
    assert server.messages[0]["To"] == "user@xn--mnchen-3ya.example"


@pytest.mark.parametrize("local_part", ["=?utf-8?q?abc?=", "=?utf-8?q?eve=40elsewhere=2Eexample=2C?=", "=?x?b?YQ==?="])
async def test_an_encoded_word_is_no_address_even_if_it_was_stored_earlier(
    mailer: Mailer, server: Server, local_part: str
) -> None:
    with pytest.raises(UnusableAddress, match=r"^the address is malformed$") as raised:
        await mailer.send(Mail(f"{local_part}@customers.example", "x", "x", "x"))
    assert isinstance(raised.value, PermanentFailure)  # the job is not retried
    assert server.messages == []


@pytest.mark.parametrize(
    ("sender", "address", "name"),
    [
        ('"Acme, Inc." <billing@acme.example>', "billing@acme.example", "Acme, Inc."),
        ("Café Łódź <billing@münchen.example>", "billing@xn--mnchen-3ya.example", "Café Łódź"),
        ("billing@acme.example", "billing@acme.example", ""),
    ],
)
async def test_the_sender_is_one_address_and_its_name(
    port: int, server: Server, sender: str, address: str, name: str
) -> None:
    await mailer_to(port, sender).send(MAIL)
    [(envelope_sender, _)] = server.envelopes
    [header_address] = server.messages[0]["From"].addresses
    assert (envelope_sender, header_address.addr_spec, header_address.display_name) == (address, address, name)
    assert server.messages[0]["Message-ID"].endswith(f"@{address.partition('@')[2]}>")


def test_a_sender_that_could_be_parsed_as_several_is_rejected() -> None:
    with pytest.raises(ValueError, match="must be one address"):
        mailer_to(25, "Acme, Inc. <billing@acme.example>")


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(texts.filter(lambda text: "=?" not in text).map(lambda text: f"a{text}.pdf"))
async def test_an_attachment_keeps_its_name(mailer: Mailer, server: Server, name: str) -> None:
    await mailer.send(Mail("ada@example.org", "x", "x", "x", {name: b"%PDF"}))
    [attachment] = server.messages[-1].iter_attachments()
    assert attachment.get_filename() == name


LOGIN = ("articurated", "correct horse")


@pytest.fixture
def server_tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ssl.SSLContext:
    """The TLS context of the mail server; this process trusts the authority of its certificate."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, login: LoginPassword) -> AuthResult:
    return AuthResult(success=(login.login.decode(), login.password.decode()) == LOGIN, handled=False)


@pytest.fixture
def login_port(server: Server, server_tls: ssl.SSLContext) -> Iterator[int]:
    """The port of a server that requires STARTTLS and a login."""
    controller = Controller(
        server, hostname="127.0.0.1", port=free_ports(1)[0], tls_context=server_tls, require_starttls=True,
        authenticator=authenticate, auth_required=True,
    )  # fmt: skip
    controller.start()
    yield controller.port
    controller.stop()


async def test_a_login_is_sent_over_starttls(login_port: int, server: Server) -> None:
    await mailer_to(login_port, SENDER, username=LOGIN[0], password=LOGIN[1]).send(MAIL)
    assert len(server.messages) == 1


async def test_a_rejected_login_is_a_temporary_failure(login_port: int, server: Server) -> None:
    with pytest.raises(MailNotSent, match="refused the login") as raised:
        await mailer_to(login_port, SENDER, username=LOGIN[0], password="wrong").send(MAIL)
    assert "wrong" not in str(raised.value)
    assert server.messages == []


async def test_a_login_is_never_sent_unencrypted(port: int, server: Server) -> None:
    with pytest.raises(MailNotSent):
        await mailer_to(port, SENDER, username=LOGIN[0], password=LOGIN[1]).send(MAIL)
    assert server.messages == []


async def test_a_server_may_use_tls_from_the_first_byte(server: Server, server_tls: ssl.SSLContext) -> None:
    controller = Controller(server, hostname="127.0.0.1", port=free_ports(1)[0], ssl_context=server_tls)
    controller.start()
    try:
        await mailer_to(controller.port, SENDER, implicit_tls=True).send(MAIL)
    finally:
        controller.stop()
    assert len(server.messages) == 1
