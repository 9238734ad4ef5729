"""The processes of the stack: their commands, ports, environments and log files."""

from dataclasses import dataclass
from pathlib import Path

from local_stack.credentials import load_credentials
from local_stack.kafka import Kafka
from local_stack.ports import assign_ports
from local_stack.postgres import Postgres
from local_stack.program import Program
from local_stack.server import Server
from local_stack.services import SERVICES
from local_stack.settings import StackSettings
from local_stack.stack_json import StackDescription

INFRASTRUCTURE_PORTS = ("postgres", "kafka", "kafka-controller", "sandbox", "mailbox", "smtp", "gateway", "console")
HOST = "127.0.0.1"
# From which the gateway and the console call the services. Their other clients have 127.0.0.1: what those say of their
# address is not trusted.
GATEWAY_ADDRESS = "127.0.0.2"
CONSOLE_ADDRESS = "127.0.0.3"
# Exists in a checkout.
OPENAPI_FILE = Path(__file__).parents[3] / "docs" / "api" / "openapi.yaml"


@dataclass(frozen=True)
class StackProcess:
    """A process of the stack, with its names in stack.json."""

    server: Server
    service: str
    role: str
    url: str


class Stack:
    """All processes of a stack in `settings.folder`. Creating it assigns ports and keys, and starts no process."""

    def __init__(self, settings: StackSettings) -> None:
        """Raises PortTakenError."""
        self.folder = settings.folder
        self.documents = self.folder / "storage" / "invoices"
        self.audit_checkpoints = self.folder / "storage" / "checkpoints"
        self.credentials = load_credentials(self.folder)
        self._environment = dict(settings.environment)
        roles = [
            (name, role)
            for name, service in SERVICES.items()
            for role in (service.roles if settings.split else ("all",))
        ]
        names = [*INFRASTRUCTURE_PORTS, *(_port_name(*each) for each in roles)]
        self._ports = assign_ports(names, settings.ports, self.folder / "ports.json")
        self.postgres = Postgres(self.folder / "postgres", self._ports["postgres"], log=self.log("postgres"))
        self.kafka = Kafka(
            self.folder / "kafka", self._ports["kafka"], self._ports["kafka-controller"], log=self.log("kafka")
        )
        self.stores = [
            StackProcess(self.postgres, "postgres", "database", f"postgresql://{HOST}:{self.postgres.port}"),
            StackProcess(self.kafka, "kafka", "broker", f"kafka://{self.kafka.bootstrap}"),
        ]
        self.sandbox = [
            self._sandbox("sandbox", "payments", "--port={sandbox}", f"--webhook-url={self._webhook_url()}"),
            self._sandbox("mailbox", "mailbox", "--smtp-port={smtp}", "--http-port={mailbox}"),
        ]
        self.role_processes = [self._role(service, role) for service, role in roles]
        self.fronts = [self._gateway(), self._console()]

    @property
    def processes(self) -> list[StackProcess]:
        return [*self.stores, *self.sandbox, *self.role_processes, *self.fronts]

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def url(self, port_name: str) -> str:
        return f"http://{HOST}:{self._ports[port_name]}"

    def shared_settings(self) -> dict[str, str]:
        """The settings that only some services need; `local_stack.services` says which."""
        return {
            "DOCUMENT_FOLDER": str(self.documents),
            "INVOICE_DOWNLOAD_URL": self.url("invoicing"),
            **{f"{service.upper()}_URL": self.url(service) for service in SERVICES},
            "LINK_SIGNING_KEY": self.credentials.link_signing_key,
            "PAYMENT_GATEWAY_KEY": self.credentials.payment_gateway_key,
            "PAYMENT_GATEWAY_URL": self.url("sandbox") + ("/adyen" if self._uses_adyen() else ""),
            "PAYMENT_WEBHOOK_SECRET": self._webhook_secret(),
            # The zone of the seller's address, which the default settings of invoicing print.
            "SELLER_TIME_ZONE": self._environment.get("SELLER_TIME_ZONE") or "Europe/Paris",
        }

    def service_environment(self, service: str) -> dict[str, str]:
        """The environment of every role of a service. It overrides the variables that the stack was started with."""
        common = {
            "DATABASE_URL": self.postgres.dsn(service, service),
            "KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "HTTP_HOST": HOST,
            "LOG_FORMAT": "json",
            "TRUSTED_PROXIES": self._proxies_of_services(),
            "AUDIT_CHECKPOINT_FOLDER": str(self.audit_checkpoints),
            "AUDIT_SIGNING_KEY": self.credentials.audit_signing_key,
            "SMTP_HOST": HOST,
            "SMTP_PORT": str(self._ports["smtp"]),
        }
        shared = self.shared_settings()
        return self._environment | common | {name: shared[name] for name in SERVICES[service].settings}

    def migration_environment(self, service: str) -> dict[str, str]:
        owner = self.postgres.dsn(service, f"{service}_owner")
        return self.service_environment(service) | {"MIGRATION_DATABASE_URL": owner}

    def description(self) -> StackDescription:
        """The content of stack.json. Every process must have been started."""
        return {
            "gateway": {"url": self.url("gateway")},
            "console": {"url": self.url("console")},
            "services": {service: {"url": self.url(service)} for service in SERVICES},
            "api_keys": self.credentials.api_keys,
            "databases": {service: self.postgres.dsn(service, service) for service in SERVICES},
            "kafka": {"bootstrap": self.kafka.bootstrap},
            "payment_sandbox": {"url": self.url("sandbox")},
            "mailbox": {"url": self.url("mailbox"), "smtp": f"{HOST}:{self._ports['smtp']}"},
            "documents": str(self.documents),
            "processes": [
                {
                    "name": process.server.name,
                    "service": process.service,
                    "role": process.role,
                    "pid": process.server.pid,
                    "url": process.url,
                    "log": str(process.server.log),
                }
                for process in self.processes
            ],
        }

    def _role(self, service: str, role: str) -> StackProcess:
        port = self._ports[_port_name(service, role)]
        environment = self.service_environment(service) | {"HTTP_PORT": str(port)}
        name = service if role == "all" else f"{service}-{role}"
        return self._process(name, service, role, port=port, readiness="/readyz", environment=environment)

    def _gateway(self) -> StackProcess:
        port = self._ports["gateway"]
        environment = {
            "HTTP_HOST": HOST,
            "HTTP_PORT": str(port),
            "LOG_FORMAT": "json",
            "ORDERS_URL": self.url("orders"),
            "RETURNS_URL": self.url("returns"),
            "SOURCE_ADDRESS": GATEWAY_ADDRESS,
            "OPENAPI_FILE": str(OPENAPI_FILE) if OPENAPI_FILE.exists() else "",
        }
        environment = self._environment | environment
        return self._process("gateway", "origin", "proxy", port=port, readiness="/readyz", environment=environment)

    def _console(self) -> StackProcess:
        port = self._ports["console"]
        environment = {
            "HTTP_HOST": HOST,
            "HTTP_PORT": str(port),
            "LOG_FORMAT": "json",
            **{f"{service.upper()}_URL": self.url(service) for service in SERVICES},
            "ROLE_ADDRESSES": ",".join(f"{each.server.name}={each.url}" for each in self.role_processes),
            "SESSION_KEY": self.credentials.console_session_key,
            "SOURCE_ADDRESS": CONSOLE_ADDRESS,
        }
        environment = self._environment | environment
        return self._process("console", "console", "web", port=port, readiness="/readyz", environment=environment)

    def _uses_adyen(self) -> bool:
        return self._environment.get("PAYMENT_GATEWAY") == "adyen"

    def _webhook_url(self) -> str:
        """With a name for the provider, which the sandbox knows."""
        return f"{self.url('refunds')}/api/v1/webhooks/{{{{provider}}}}"

    def _webhook_secret(self) -> str:
        return self._environment.get("PAYMENT_WEBHOOK_SECRET") or self.credentials.payment_webhook_secret

    def _proxies_of_services(self) -> str:
        """The gateway, the console, and the proxies that the stack was told of: they may stand before a service too."""
        others = self._environment.get("TRUSTED_PROXIES", "").strip()
        return others if others == "*" else ",".join(filter(None, (others, GATEWAY_ADDRESS, CONSOLE_ADDRESS)))

    def _sandbox(self, name: str, part: str, *port_options: str) -> StackProcess:
        """A port option names the port in braces."""
        return self._process(
            name,
            "sandbox",
            part,
            f"--host={HOST}",
            f"--data={self.folder / 'sandbox' / part}",
            *(option.format_map(self._ports) for option in port_options),
            port=self._ports[name],
            readiness="/livez",
            environment=self._environment | {"PAYMENT_WEBHOOK_SECRET": self._webhook_secret()},
        )

    def _process(
        self, name: str, package: str, role: str, *options: str, port: int, readiness: str, environment: dict[str, str]
    ) -> StackProcess:
        command = [package, role, *options]
        program = Program(name, command, port=port, readiness=readiness, environment=environment, log=self.log(name))
        return StackProcess(program, package, role, program.url)


def _port_name(service: str, role: str) -> str:
    """The role that serves the API has the port of its service, with ROLES=all as with ROLES=split."""
    return service if role in ("all", "api") else f"{service}-{role}"
