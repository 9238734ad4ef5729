"""What runs: every process of the stack, its command and its environment."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from local_stack.credentials import load_credentials
from local_stack.kafka import Kafka
from local_stack.ports import assign_ports
from local_stack.postgres import Postgres
from local_stack.program import Program
from local_stack.server import Server
from local_stack.settings import StackSettings
from local_stack.stack_json import StackDescription

SERVICES = {
    "orders": ("api", "consumer", "relay"),
    "returns": ("api", "consumer", "relay"),
    "invoicing": ("api", "consumer", "relay", "worker"),
    "refunds": ("api", "consumer", "relay", "worker"),
}
INFRASTRUCTURE_PORTS = ("postgres", "kafka", "kafka-controller", "sandbox", "mailbox", "smtp")
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Member:
    """A process of the stack, and how stack.json shows it."""

    server: Server
    service: str
    role: str
    url: str


class Stack:
    """Nothing runs yet: this assigns ports, makes keys and knows every process."""

    def __init__(self, settings: StackSettings) -> None:
        """Raises PortTakenError."""
        self.folder = settings.folder
        self.documents = self.folder / "storage" / "invoices"
        self.credentials = load_credentials(self.folder)
        self._environment = dict(settings.environment)
        self._roles = {service: roles if settings.split else ("all",) for service, roles in SERVICES.items()}
        names = [*INFRASTRUCTURE_PORTS, *(_port_name(*each) for each in self._service_roles())]
        self._ports = assign_ports(names, settings.ports, self.folder / "ports.json")
        self.postgres = Postgres(self.folder / "postgres", self._ports["postgres"], log=self.log("postgres"))
        self.kafka = Kafka(
            self.folder / "kafka", self._ports["kafka"], self._ports["kafka-controller"], log=self.log("kafka")
        )
        self.stores = [
            Member(self.postgres, "postgres", "database", f"postgresql://{HOST}:{self.postgres.port}"),
            Member(self.kafka, "kafka", "broker", f"kafka://{self.kafka.bootstrap}"),
        ]
        self.sandbox = [
            self._sandbox("sandbox", "payments", "--port={sandbox}"),
            self._sandbox("mailbox", "mailbox", "--smtp-port={smtp}", "--http-port={mailbox}"),
        ]
        self.programs = [self._program(service, role) for service, role in self._service_roles()]

    @property
    def members(self) -> list[Member]:
        return [*self.stores, *self.sandbox, *self.programs]

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def service_url(self, service: str) -> str:
        return f"http://{HOST}:{self._ports[service]}"

    def service_environment(self, service: str) -> dict[str, str]:
        wiring = {
            "DATABASE_URL": self.postgres.dsn(service, service),
            "KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "HTTP_HOST": HOST,
            "LOG_FORMAT": "json",
        }
        own = {
            "orders": {
                "LINK_SIGNING_KEY": self.credentials.link_signing_key,
                "INVOICE_DOWNLOAD_URL": self.service_url("invoicing"),
            },
            "returns": {},
            "invoicing": {
                "LINK_SIGNING_KEY": self.credentials.link_signing_key,
                "DOCUMENT_FOLDER": str(self.documents),
                # Where the seller is whom the invoices name.
                "SELLER_TIME_ZONE": self._environment.get("SELLER_TIME_ZONE") or "Europe/Paris",
                "SMTP_HOST": HOST,
                "SMTP_PORT": str(self._ports["smtp"]),
            },
            "refunds": {
                "PAYMENT_GATEWAY_URL": f"http://{HOST}:{self._ports['sandbox']}",
                "PAYMENT_GATEWAY_KEY": self.credentials.payment_gateway_key,
                "SMTP_HOST": HOST,
                "SMTP_PORT": str(self._ports["smtp"]),
            },
        }
        return self._environment | wiring | own[service]

    def migration_environment(self, service: str) -> dict[str, str]:
        owner = self.postgres.dsn(service, f"{service}_owner")
        return self.service_environment(service) | {"MIGRATION_DATABASE_URL": owner}

    def description(self) -> StackDescription:
        """The content of stack.json. Every process must have been started."""
        return {
            "services": {service: {"url": self.service_url(service)} for service in SERVICES},
            "api_keys": self.credentials.api_keys,
            "databases": {service: self.postgres.dsn(service, service) for service in SERVICES},
            "kafka": {"bootstrap": self.kafka.bootstrap},
            "payment_sandbox": {"url": f"http://{HOST}:{self._ports['sandbox']}"},
            "mailbox": {"url": f"http://{HOST}:{self._ports['mailbox']}", "smtp": f"{HOST}:{self._ports['smtp']}"},
            "documents": str(self.documents),
            "processes": [
                {
                    "name": member.server.name,
                    "service": member.service,
                    "role": member.role,
                    "pid": member.server.pid,
                    "url": member.url,
                    "log": str(member.server.log),
                }
                for member in self.members
            ],
        }

    def _service_roles(self) -> Iterator[tuple[str, str]]:
        return ((service, role) for service, roles in self._roles.items() for role in roles)

    def _program(self, service: str, role: str) -> Member:
        name = service if role == "all" else f"{service}-{role}"
        port = self._ports[_port_name(service, role)]
        environment = self.service_environment(service) | {"HTTP_PORT": str(port)}
        program = Program(
            name, [service, role], port=port, readiness="/readyz", environment=environment, log=self.log(name)
        )
        return Member(program, service, role, program.url)

    def _sandbox(self, name: str, part: str, *ports: str) -> Member:
        data = self.folder / "sandbox" / part
        arguments = [
            "sandbox",
            part,
            f"--host={HOST}",
            f"--data={data}",
            *(port.format_map(self._ports) for port in ports),
        ]
        program = Program(
            name,
            arguments,
            port=self._ports[name],
            readiness="/livez",
            environment=self._environment,
            log=self.log(name),
        )
        return Member(program, "sandbox", part, program.url)


def _port_name(service: str, role: str) -> str:
    """The role with the API has the service's port, so its address is the same however the roles are spread."""
    return service if role in ("all", "api") else f"{service}-{role}"
