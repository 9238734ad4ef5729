"""The limit: an ASGI application without a framework, and asyncpg with separate statements in one transaction.

It writes the same rows as the product and checks the API key; it has no rate limit, validation, metrics or log.
"""

import base64
import gc
import hashlib
import json
import os
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID, uuid4
from zlib import crc32

import asyncpg
import msgspec
from benchmarks import limit_statements as sql
from benchmarks.limit_documents import GENESIS, audit_row, encode_response, event_payload, order_document, price
from common.access import api_keys
from common.messaging.outgoing.outbox import LANES

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ResponseParts = tuple[int, bytes, list[tuple[bytes, bytes]]]

POOL_SIZE = 10  # as in the product
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


class Limit:
    def __init__(self) -> None:
        keys: dict[str, str] = json.loads(os.environ["API_KEYS"])
        self.pool: Any = None
        self.callers = {key.encode(): key.partition(".")[0] for key in keys.values()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.run_lifespan(receive, send)
            return
        if scope["path"] == "/readyz":
            status, body, headers = 200, b"", list[tuple[bytes, bytes]]()
        else:
            status, body, headers = await self.respond(scope, receive)
        headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def run_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self.pool = await asyncpg.create_pool(
            os.environ["DATABASE_URL"], min_size=POOL_SIZE, max_size=POOL_SIZE, reset=skip_reset, max_queries=10**9
        )
        gc.collect()
        gc.freeze()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.pool.terminate()
        await send({"type": "lifespan.shutdown.complete"})

    async def respond(self, scope: Scope, receive: Receive) -> ResponseParts:
        headers = dict(scope["headers"])
        caller = self.callers[headers[b"x-api-key"]]
        parts = scope["path"].split("/")  # /api/v1/orders/{id}/state
        if scope["method"] == "GET":
            return await (self.read(UUID(parts[4])) if len(parts) > 4 else self.list(scope["query_string"]))
        body = await whole_body(receive)
        key = headers[b"idempotency-key"].decode()
        scope_hash = hashlib.sha256(f"{caller}\n{scope['method']}\n{scope['path']}".encode()).digest()
        lock = int.from_bytes(hashlib.sha256(scope_hash + key.encode()).digest()[:8], signed=True)
        async with self.pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(sql.FIND_RESPONSE, lock, scope_hash, key)
            assert row["locked"]
            if row["body"] is not None:
                return 200, row["body"], []
            change = Step(connection, caller, scope["client"][0])
            if scope["method"] == "POST":
                status, order_id, response = 201, *await change.place(_decode(body))
                location = {"Location": f"/api/v1/orders/{order_id}", "ETag": '"1"'}
            else:
                status, response, location = 200, await change.ship(UUID(parts[4]), _decode(body)), {"ETag": '"4"'}
            await connection.execute(
                sql.INSERT_RESPONSE,
                scope_hash,
                key,
                hashlib.sha256(body).digest(),
                status,
                json.dumps(location),
                response,
            )
        return status, response, [(name.lower().encode(), value.encode()) for name, value in location.items()]

    async def read(self, order_id: UUID) -> ResponseParts:
        async with self.pool.acquire() as connection:
            order = await connection.fetchrow(sql.READ_ORDER, order_id)
            lines = await connection.fetch(sql.READ_LINES, order_id)
            payments = await connection.fetch(sql.READ_PAYMENTS, [order_id])
        return 200, encode_response(order_document(order, lines, payments)), []

    async def list(self, query: bytes) -> ResponseParts:
        request = parse_qs(query)
        limit, offset = int(request[b"limit"][0]), int(request[b"offset"][0])
        async with self.pool.acquire() as connection:
            orders = await connection.fetch(sql.READ_PAGE, limit, offset)
            ids = [order["id"] for order in orders]
            lines = await connection.fetch(sql.READ_LINES_OF_PAGE, ids)
            payments = await connection.fetch(sql.READ_PAYMENTS, ids)
            total = await connection.fetchval(sql.COUNT_ORDERS)
        lines_of: dict[UUID, list[Any]] = {}
        for line in lines:
            lines_of.setdefault(line["order_id"], []).append(line)
        payments_of: dict[UUID, list[Any]] = {}
        for payment in payments:
            payments_of.setdefault(payment["order_id"], []).append(payment)
        page = {
            "limit": limit,
            "offset": offset,
            "total": total,
            "has_more": offset + limit < total,
            "next_cursor": base64.urlsafe_b64encode(f"{orders[-1]['created_at']} {ids[-1]}".encode()).decode(),
        }
        documents = [order_document(order, lines_of[order["id"]], payments_of.get(order["id"], ())) for order in orders]
        return 200, encode_response({"data": documents, "pagination": page}), []


@lru_cache
def actor_id(caller: str) -> str:
    return str(api_keys.entity_id(caller))


class Step:
    """A change of an order, statement by statement."""

    def __init__(self, connection: Any, caller: str, ip_address: str) -> None:
        self.connection, self.name, self.ip_address = connection, caller, ip_address
        self.caller = actor_id(caller)

    async def ship(self, order_id: UUID, change: dict[str, Any]) -> bytes:
        run = self.connection.execute
        row = await self.connection.fetchrow(sql.LOCK_ORDER, order_id)
        lines = await self.connection.fetch(sql.READ_LINES, order_id)
        payments = await self.connection.fetch(sql.READ_PAYMENTS, [order_id])
        order = dict(row)
        previous, now = order["status"], order["now"]
        assert (previous, change["new_state"]) == ("PROCESSING_IN_WAREHOUSE", "SHIPPED")
        position, version, sequence = order["audit_position"] + 1, order["version"] + 1, order["sequence"] + 1
        shipment = {name: change[name] for name in ("tracking_number", "carrier")}
        audit, details = audit_row(
            order_id,
            position,
            previous,
            "SHIPPED",
            self.caller,
            now,
            order["audit_hash"],
            {"actor_name": self.name, **shipment},
            self.ip_address,
        )
        changed = {"status": "SHIPPED", "shipped_at": now, "updated_at": now, "version": version}
        order |= {**shipment, **changed}
        new_values = ("SHIPPED", *shipment.values(), now, version, sequence, position, audit[-1])
        await run(sql.UPDATE_ORDER, order_id, *new_values)
        await run(sql.INSERT_AUDIT, *audit)
        await run(sql.INSERT_DETAILS, *details)
        await run(sql.COUNT_TRANSITION, previous, "SHIPPED")
        await self.insert_event("order.shipped", order, lines, sequence, payments)
        return encode_response(order_document(order, lines, payments))

    async def place(self, request: dict[str, Any]) -> tuple[UUID, bytes]:
        run = self.connection.execute
        order_id, number, now = await self.connection.fetchrow(sql.PLACEMENT)
        name = f"ORD-{now.year}-{number:06d}"
        lines, net, tax = price(request)
        audit_details = {
            "actor_name": self.name,
            "order_number": name,
            "total_amount": net + tax,
            "currency": request["currency"],
        }
        audit, details = audit_row(
            order_id, 1, None, "PENDING_PAYMENT", self.caller, now, GENESIS, audit_details, self.ip_address
        )
        addresses = [encode_response(request[each]).decode() for each in ("shipping_address", "billing_address")]
        customer = UUID(request["customer_id"]), request["customer_email"], request["customer_name"]
        amounts = request["currency"], net, tax, net + tax, request["payment_method"]
        order = await self.connection.fetchrow(
            sql.INSERT_ORDER, order_id, name, *customer, *amounts, *addresses, now, audit[-1]
        )
        columns = ("id", "product_id", "product_name", "quantity", "unit_price", "tax_rate", "subtotal")
        await run(sql.INSERT_LINES, order_id, *([line[each] for line in lines] for each in columns))
        await run(sql.INSERT_AUDIT, *audit)
        await run(sql.INSERT_DETAILS, *details)
        await run(sql.COUNT_ARRIVAL, "PENDING_PAYMENT")
        await self.insert_event("order.created", order, lines, 1)
        return order_id, encode_response(order_document(order, lines))

    async def insert_event(
        self, name: str, order: Any, lines: list[Any], sequence: int, payments: Iterable[Any] = ()
    ) -> None:
        key = str(order["id"])
        lane = crc32(key.encode()) % LANES
        traceparent = f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"
        await self.connection.execute(
            sql.INSERT_EVENT, uuid4(), key, name, event_payload(order, lines, payments), sequence, lane, traceparent
        )


async def skip_reset(_: Any) -> None:
    """Replace asyncpg's reset at each release, which is a round trip that is not needed here."""


async def whole_body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    return body


def create() -> Limit:
    return Limit()
