"""Causes for which an order is where it is, each injected into the services' databases or gateways."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias
from uuid import UUID

from support.explanations.scene import Scene

ORDERS, RETURNS = "articurated.orders", "articurated.returns"
INVOICES, REFUNDS = "articurated.invoices", "articurated.refunds"
DEAD = "state = 'dead', failures = 4, finished_at = now(), last_error = '{}'"
LATER = "due_at = now() + interval '4 minutes', failures = 1, last_error = '{}'"
LONG_DUE = "due_at = now() - interval '5 minutes'"


@dataclass(frozen=True)
class Case:
    """`inject` makes an order that has the cause; `service`, `cause` and `state` are the expected ones."""

    name: str
    inject: Callable[[Scene], Awaitable[str]]
    cause: str
    service: str
    state: str


Make: TypeAlias = Callable[[Scene], Awaitable[str]]
Inject: TypeAlias = Callable[[Scene, str, str], Awaitable[str]]

CASES: list[Case] = []


def case(name: str, cause: str, service: str, state: str) -> Callable[..., Callable[[Scene], Awaitable[str]]]:
    def add(inject: Callable[[Scene], Awaitable[str]]) -> Callable[[Scene], Awaitable[str]]:
        CASES.append(Case(name, inject, cause, service, state))
        return inject

    return add


def _of_states() -> None:
    for state, cause in (
        ("PENDING_PAYMENT", "awaiting-payment"),
        ("PAID", "awaiting-warehouse"),
        ("PROCESSING_IN_WAREHOUSE", "awaiting-shipment"),
    ):
        case(f"the order is {state}", cause, "orders", "waiting")(partial(Scene.order, state=state))
    for state, cause in (
        ("REQUESTED", "return-unreviewed"),
        ("APPROVED", "return-awaits-parcel"),
        ("IN_TRANSIT", "return-in-transit"),
        ("RECEIVED", "return-awaits-completion"),
    ):
        case(f"the return is {state}", cause, "returns", "waiting")(partial(Scene.returned, state=state))


_of_states()


@case("the order is shipped, and everything is done", "awaiting-delivery", "orders", "waiting")
async def _done(scene: Scene) -> str:
    order = await scene.shipped()
    await scene.issued(order)
    return order


@case("the warehouse tried to ship an unpaid order", "transition-refused", "orders", "waiting")
async def _refused(scene: Scene) -> str:
    order = await scene.order()
    assert (await scene.move(order, "SHIPPED")).status_code == 409
    return order


@case("a payment of another amount was reported", "payment-mismatched", "orders", "stuck")
async def _mismatched(scene: Scene) -> str:
    order = await scene.order()
    response = await scene.gateways["orders"].patch(
        f"/orders/{order}/state", {"new_state": "PAID", "payment_transaction_id": f"pi_{order}", "amount": 5}
    )
    assert response.status_code == 409, response.text
    await scene.publish(order)
    return order


@case("the time for the review of a return is over", "return-review-overdue", "returns", "waiting")
async def _overdue(scene: Scene) -> str:
    order = await scene.returned()
    await scene.sql(
        "returns", "UPDATE returns SET created_at = now() - interval '2 days' WHERE order_id = $1", UUID(order)
    )
    return order


def _of_outboxes() -> None:
    """Of an event of the service: its outbox and relay."""

    async def parked(scene: Scene, service: str) -> str:
        order = await _with_event(scene, service)
        await scene.sql(
            service,
            "WITH taken AS (DELETE FROM outbox_pending p USING outbox o WHERE o.position = p.position AND o.key = $1"
            " RETURNING p.position, p.lane, o.topic, o.key)"
            " INSERT INTO outbox_parked (position, lane, topic, key, error) SELECT *, 'MessageSizeTooLarge' FROM taken",
            order,
        )
        return order

    async def no_relay(scene: Scene, service: str) -> str:
        order = await _with_event(scene, service)
        await scene.sql(service, "DELETE FROM relays")
        return order

    async def held(scene: Scene, service: str) -> str:
        order = await _with_event(scene, service)
        await scene.sql(
            service, "INSERT INTO outbox_holds (topic, partition) VALUES ('articurated.x', 1) ON CONFLICT DO NOTHING"
        )
        await scene.sql(
            service,
            "UPDATE outbox_pending SET hold = (SELECT max(id) FROM outbox_holds)"
            " WHERE position IN (SELECT position FROM outbox WHERE key = $1)",
            order,
        )
        return order

    for service in ("orders", "returns", "refunds", "invoicing"):
        for name, cause, inject in (
            ("Kafka rejects an event of {}", "event-parked", parked),
            ("the relay of {} is down", "relay-down", no_relay),
            ("Kafka is down: an event of {} waits", "kafka-down", _with_event),
            ("a partition is unavailable for an event of {}", "partition-unavailable", held),
        ):
            case(name.format(service), cause, service, "stuck")(partial(inject, service=service))


async def _with_event(scene: Scene, service: str) -> str:
    """An order with an event of the service that has waited for a minute."""
    order = await (scene.order("PAID") if service == "orders" else scene.delivered())
    await scene.sql(
        service,
        "WITH event AS (INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, topic, key, sequence,"
        " traceparent, created_at) VALUES (gen_random_uuid(), 'x', $1, $2, '{}', $3, $1, 99,"
        " '00-a9aa569ea710f851ae642e6dd19de98b-6e262262ceb01600-01', now() - interval '1 minute') RETURNING position)"
        " INSERT INTO outbox_pending (position, lane) SELECT position, 0 FROM event",
        order,
        f"{service}.example",
        {"orders": ORDERS, "returns": RETURNS, "refunds": REFUNDS, "invoicing": INVOICES}[service],
    )
    return order


_of_outboxes()


async def _shipped_unread(scene: Scene) -> str:
    """The event of the shipment is a minute old, and invoicing has not processed it."""
    order = await scene.order("SHIPPED")
    await scene.deliver(order, "returns", "refunds")
    await scene.waiting_event(order)
    return order


async def _cancelled_unread(scene: Scene) -> str:
    order = await scene.order("PAID", published=False)
    await scene.gateways["orders"].post(f"/orders/{order}/cancel", {"reason": "changed her mind"})
    await scene.publish(order)
    await scene.waiting_event(order)
    return order


async def _delivered_unread(scene: Scene) -> str:
    order = await scene.order("SHIPPED")
    await scene.deliver(order, "returns", "refunds", "invoicing")
    await scene.issued(order)
    await scene.move(order, "DELIVERED")
    await scene.publish(order)
    await scene.waiting_event(order)
    return order


async def _completed_unread(scene: Scene) -> str:
    order = await scene.returned("COMPLETED")
    await scene.waiting_event(order, "returns")
    return order


def _of_consumers() -> None:
    async def down(scene: Scene, order: str, service: str) -> str:
        await scene.sql(service, "UPDATE consumer_positions SET reported_at = now() - interval '3 minutes'")
        return order

    async def lagging(scene: Scene, order: str, service: str) -> str:
        await scene.sql(service, "UPDATE consumer_positions SET lag = 4711")
        return order

    async def lost(scene: Scene, order: str, service: str) -> str:
        await scene.sql(service, "UPDATE consumer_positions SET caught_up_at = now()")
        return order

    makers = (
        ("invoicing", "the shipment", _shipped_unread),
        ("refunds", "the cancellation", _cancelled_unread),
        ("refunds", "the completed return", _completed_unread),
        ("returns", "the delivery", _delivered_unread),
    )
    for service, event, make in makers:
        for name, cause, state, inject in (
            ("the consumer of {} is down at {}", "consumer-down", "stuck", down),
            ("the consumer of {} is behind {}", "consumer-lagging", "", lagging),
            ("{} has lost the event of {}", "event-lost", "stuck", lost),
        ):

            async def injected(scene: Scene, make: Make = make, inject: Inject = inject, service: str = service) -> str:
                return await inject(scene, await make(scene), service)

            case(name.format(service, event), cause, service, state)(injected)
    for service, topic in (("orders", INVOICES), ("returns", ORDERS), ("refunds", ORDERS), ("invoicing", ORDERS)):

        async def poisoned(scene: Scene, service: str = service, topic: str = topic) -> str:
            order = await scene.order("PAID")
            await scene.poison(service, order, topic, "ValueError: total_amount is missing")
            return order

        case(f"a record is poison for {service}", "poison-record", service, "stuck")(poisoned)


_of_consumers()


def _of_jobs() -> None:
    async def document(scene: Scene) -> str:
        return await scene.shipped()

    async def mail(scene: Scene) -> str:
        order = await scene.shipped()
        await scene.issued(order, mail="PENDING")
        await scene.mail_job(order)
        return order

    async def refund(scene: Scene) -> str:
        return await scene.cancelled()

    rows = (
        (
            "invoicing",
            "document",
            document,
            "job-dead",
            "stuck",
            DEAD.format("OSError: no space left on device"),
            "is dead",
        ),
        (
            "invoicing",
            "document",
            document,
            "job-retrying",
            "",
            LATER.format("OSError: no space left on device"),
            "waits for a retry",
        ),
        ("invoicing", "document", document, "worker-down", "stuck", LONG_DUE, "is due, and no worker runs"),
        (
            "invoicing",
            "document",
            document,
            "job-running",
            "",
            "state = 'running', leased_until = now() + interval '9 s'",
            "is leased by a worker",
        ),
        (
            "invoicing",
            "document",
            document,
            "lease-expired",
            "",
            "state = 'running', leased_until = now() - interval '9 s'",
            "was left by a worker that died",
        ),
        (
            "invoicing",
            "document",
            document,
            "job-discarded",
            "stuck",
            "state = 'discarded', finished_at = now(), discarded_reason = 'a test order', discarded_by = 'eve'",
            "was discarded",
        ),
        (
            "invoicing",
            "document",
            document,
            "ending-not-written",
            "stuck",
            "given_up = 'OSError: no space left on device'",
            "has failed, which cannot be written",
        ),
        (
            "invoicing",
            "document",
            document,
            "database-interrupted",
            "",
            "set_backs = 1, due_at = now() + interval '20 s', last_error = 'DatabaseUnavailable: gone'",
            "was interrupted by the database",
        ),
        (
            "invoicing",
            "e-mail",
            mail,
            "mail-server-down",
            "",
            LATER.format("MailNotSent: ConnectionRefusedError at 127.0.0.1:25"),
            "finds no mail server",
        ),
        (
            "invoicing",
            "e-mail",
            mail,
            "mail-refused",
            "stuck",
            DEAD.format("MailRefused: the mail server refused the message with 550"),
            "is refused by the mail server",
        ),
        (
            "invoicing",
            "e-mail",
            mail,
            "job-dead",
            "stuck",
            DEAD.format("MailNotSent: the mail server answered 451"),
            "is dead",
        ),
        ("refunds", "refund", refund, "worker-down", "stuck", LONG_DUE, "is due, and no worker runs"),
        ("refunds", "refund", refund, "job-retrying", "", LATER.format("GatewayFailure: 500"), "waits for a retry"),
    )
    for service, what, make, cause, state, assignments, happening in rows:

        async def changed(
            scene: Scene, make: Make = make, service: str = service, assignments: str = assignments
        ) -> str:
            order: str = await make(scene)
            await scene.job(service, order, f"{assignments}")
            return order

        case(f"the job of the {what} {happening}", cause, service, state)(changed)
    for service, kind, make in (("invoicing", "invoice-document", document), ("refunds", "refund", refund)):

        async def paused(scene: Scene, make: Make = make, service: str = service, kind: str = kind) -> str:
            order: str = await make(scene)
            await scene.sql(
                service, "INSERT INTO paused_kinds (kind, reason, paused_by) VALUES ($1, 'a new printer', 'eve')", kind
            )
            return order

        case(f"the kind {kind} is paused", "kind-paused", service, "stuck")(paused)

    async def missing(scene: Scene) -> str:
        order = await scene.shipped()
        await scene.sql("invoicing", "DELETE FROM jobs WHERE business_key = $1", order)
        return order

    case("the job of an invoice is missing", "job-missing", "invoicing", "stuck")(missing)


_of_jobs()


def _of_refunds() -> None:
    for status, cause, state, columns, job in (
        ("UNKNOWN", "refund-unknown", "", {}, "due_at = now() + interval '8 s'"),
        ("UNKNOWN", "refund-unknown-for-good", "stuck", {"error": "timeout"}, DEAD.format("GatewayFailure: timeout")),
        ("PENDING", "refund-pending-at-provider", "", {"transaction_id": "re_1"}, "due_at = now() + interval '9 min'"),
        ("DECLINED", "refund-declined", "stuck", {"error": "the card is closed"}, DEAD.format("Declined: closed")),
        ("FAILED", "refund-failed", "stuck", {"error": "500"}, DEAD.format("GatewayFailure: 500")),
        ("HELD", "refund-held", "stuck", {"error": "it was refunded in part by hand"}, LATER.format("held")),
    ):

        async def injected(
            scene: Scene, status: str = status, columns: Mapping[str, object] = columns, job: str = job
        ) -> str:
            order = await scene.refunding(status, **columns)
            await scene.job("refunds", order, job)
            return order

        case(f"the refund is {status}, and {cause.removeprefix('refund-')}", cause, "refunds", state)(injected)


_of_refunds()


def _of_services() -> None:
    for service in ("returns", "invoicing", "refunds"):

        async def unreachable(scene: Scene, service: str = service) -> str:
            scene.connect({service: "http://127.0.0.1:9"})
            return await scene.order("PAID")

        case(f"{service} is down", "service-unreachable", service, "unknown")(unreachable)


_of_services()


@case("the reconciler reports a missing invoice", "discrepancy-open", "orders", "stuck")
async def _discrepancy(scene: Scene) -> str:
    order = await scene.order("PAID")
    await scene.discrepancy("orders", order, "invoice_missing")
    return order


@case("the document is missing in the store", "document-missing", "invoicing", "stuck")
async def _document(scene: Scene) -> str:
    order = await scene.shipped()
    await scene.issued(order)
    await scene.discrepancy("invoicing", order, "document_missing")
    return order
