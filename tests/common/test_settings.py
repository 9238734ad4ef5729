"""Settings with an address, URL, network or path are checked at the start, and errors name the setting."""

from importlib import import_module
from pathlib import Path

import pytest
from common.running.command_line import execute
from common.setting_types import parse_brokers
from local_stack.services import SERVICES
from support.postgres.databases import MakeDatabase
from support.processes.service import running_service

NOWHERE = {"DATABASE_URL": "postgresql://secret:secret@127.0.0.1:9/none", "KAFKA_BOOTSTRAP": "127.0.0.1:9"}
WRONG = [
    *(
        (service, name, value)
        for service in SERVICES
        for name, values in {
            "DATABASE_URL": ["none", "mysql://127.0.0.1/x", "postgresql://h/x?sslmode=yes", "postgresql://h:x/x"],
            "MIGRATION_DATABASE_URL": ["none", "postgresql://h/x?no_such_parameter=1"],
            "KAFKA_BOOTSTRAP": [
                "kafka:", "kafka:ninety", "kafka:0", "kafka:70000", "PLAINTEXT://kafka:9092", "::1:9092", "a b:9092",
                ",", "kafka:9092;other:9092", "[::1:9092",
            ],
            "HTTP_HOST": ["127.0.0.1:8000", "no such host", "127.0.0.256", "http://127.0.0.1", "-x"],
            "TRUSTED_PROXIES": ["proxy", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/8;10.0.0.1", "*,10.0.0.1", "10.0.0"],
        }.items()
        for value in values
    ),
    *(
        (service, name, value)
        for service in ("invoicing", "refunds")
        for name, values in {
            "SMTP_HOST": ["mail.example:587", "smtp://mail.example", "mail example", "a..b", "a" * 64 + ".example"],
            "MAIL_SENDER": [
                "Acme, Inc. <billing@acme.example>", "Acme", "billing@acme", "a@b.example, c@d.example", "Acme <>",
                "=?utf-8?q?Acme?= <billing@acme.example>", "=?utf-8?q?a?=@acme.example", "A\r\nBcc: x <a@b.example>",
                "Acme <billing@acme.example> x", "bïlling@acme.example",
            ],
        }.items()
        for value in values
    ),
    *(("orders", "INVOICE_DOWNLOAD_URL", value) for value in (
        "127.0.0.1:8003", "ftp://x.example", "http://", "http://x.example?y=1", "http://x.example#y",
        "http://x y.example", "http://u:p@x.example", "http://x.example:port", "http://x.example:99999", "http://[::1",
        "http://x.example/a b",
    )),
    *(("refunds", "PAYMENT_GATEWAY_URL", value) for value in ("api.stripe.com", "https:///x", "https://x.example/?a")),
    *(("invoicing", "DOCUMENT_BUCKET", value) for value in ("bucket", "s3://", "s3://B_/x", "https://s3.example/x")),
    *(("invoicing", "DOCUMENT_FOLDER", value) for value in ("/dev/null", "/dev/null/invoices", "x" * 300)),
    *(("invoicing", "SELLER_TIME_ZONE", value) for value in ("Paris", "Europe", "../etc/passwd", "UTC+1", "a/b")),
    *(("invoicing", "SELLER_EMAIL", value) for value in ("billing", "a@b.example, c@d.example", "A <a@b.example>")),
    *(("invoicing", name, "two\nlines") for name in (
        "SELLER_ID", "SELLER_BRAND", "SELLER_NAME", "SELLER_STREET", "SELLER_CITY", "SELLER_STATE", "SELLER_ZIP",
        "SELLER_COUNTRY", "SELLER_VAT_ID",
    )),
]  # fmt: skip


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in NOWHERE.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize(("service", "name", "value"), WRONG)
def test_an_invalid_setting_ends_every_command_with_its_name(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], service: str, name: str, value: str
) -> None:
    environment.setenv(name, value)
    service_definition = import_module(f"{service}.app").SERVICE
    for command in (["migrate"], ["api"], ["jobs", "list"]):
        assert execute(service_definition, command) == 1
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith(f"{name}: ")
        assert "Value error" not in line
        assert "secret" not in line


@pytest.mark.parametrize(
    ("service", "name", "value", "stored_value"),
    [
        ("orders", "KAFKA_BOOTSTRAP", " kafka-1:9092 , [::1]:9093,broker_3", "kafka-1:9092,[::1]:9093,broker_3:9092"),
        ("orders", "TRUSTED_PROXIES", "10.0.0.0/8, 192.168.1.1 ,fd00::/8", "10.0.0.0/8,192.168.1.1,fd00::/8"),
        ("orders", "TRUSTED_PROXIES", "*", "*"),
        ("orders", "HTTP_HOST", "[::]", "::"),
        ("orders", "HTTP_HOST", "0.0.0.0", "0.0.0.0"),  # noqa: S104
        ("orders", "HTTP_HOST", "localhost", "localhost"),
        ("orders", "INVOICE_DOWNLOAD_URL", "https://invoices.example:8443/of/", "https://invoices.example:8443/of"),
        ("orders", "INVOICE_DOWNLOAD_URL", "http://[::1]:8003", "http://[::1]:8003"),
        ("invoicing", "SMTP_HOST", "mail_server", "mail_server"),
        ("invoicing", "SMTP_HOST", "münchen.example", "xn--mnchen-3ya.example"),
        ("invoicing", "SELLER_TIME_ZONE", "America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("invoicing", "SELLER_NAME", "Böttger\N{NO-BREAK SPACE}& Søn (“Töpfe”)", None),
        ("invoicing", "MAIL_SENDER", '"Acme, Inc." <billing@acme.example>', None),
        ("invoicing", "DOCUMENT_BUCKET", "s3://my-bucket.eu/invoices/2026", None),
        ("refunds", "PAYMENT_GATEWAY_URL", "http://payment-sandbox:8000", None),
    ],
)
def test_a_valid_setting_is_stored_in_its_normal_form(
    environment: pytest.MonkeyPatch, service: str, name: str, value: str, stored_value: str | None
) -> None:
    environment.setenv(name, value)
    settings = import_module(f"{service}.app").SERVICE.settings()
    assert getattr(settings, name.lower()) == (stored_value or value)


def test_brokers_are_parsed_like_kafkas_client_parses_them() -> None:
    from aiokafka.conn import collect_hosts

    text = "kafka-1:9092,[::1]:9093,10.0.0.1"
    parsed_by_the_client = [(host, port) for host, port, _ in collect_hosts(text, randomize=False)]
    assert parse_brokers(text) == parsed_by_the_client


def test_an_address_that_cannot_be_bound_is_reported_without_a_traceback(tmp_path: Path) -> None:
    environment = {**NOWHERE, "HTTP_HOST": "192.0.2.1"}
    with running_service("orders", "relay", folder=tmp_path, environment=environment) as process:
        assert process.wait() == 1
        assert "HTTP_HOST" in process.log
        assert "Traceback" not in process.log
        assert '"exception"' not in process.log


@pytest.mark.parametrize(
    ("service", "role", "environment", "message"),
    [
        ("refunds", "worker", {"PAYMENT_GATEWAY_KEY": " "}, "PAYMENT_GATEWAY_KEY"),
        # No user can create folders there.
        ("invoicing", "api", {"DOCUMENT_FOLDER": "/proc/invoices"}, "DOCUMENT_FOLDER"),
    ],
)
def test_a_setting_that_only_a_role_can_check_ends_it_with_its_name(
    make_database: MakeDatabase, tmp_path: Path, service: str, role: str, environment: dict[str, str], message: str
) -> None:
    wiring = {**NOWHERE, "DATABASE_URL": make_database(service).dsn}
    with running_service(service, role, folder=tmp_path, environment={**wiring, **environment}) as process:
        assert process.wait(within=60) == 1
        assert '"event":"stopped by a wrong setting"' in process.log
        assert message in process.log
        assert "Traceback" not in process.log
