"""The events of the largest order that is accepted fit into a Kafka record in every state."""

import json

from common.messaging.kafka.topics import create_topics
from orders.app import SERVICE
from orders.events import ORDERS_TOPIC
from support.example.ada import TEACUPS
from support.example.orders import PATHS, an_order, created
from support.gateway.application import serve
from support.kafka.relays import running_relay, wait_until_published
from support.kafka.topics import Topics
from support.postgres.databases import MakeDatabase

WIDEST = "🍵"  # no character takes more bytes
ADDRESS = {
    "street": WIDEST * 255,
    "city": WIDEST * 100,
    "state": WIDEST * 50,
    "zip": WIDEST * 20,
    "country": WIDEST * 50,
}
# Different numbers everywhere, none of them short.
LINES = [
    {
        **TEACUPS,
        "product_name": WIDEST * 255,
        "quantity": 999_999 - number,
        "unit_price": 1234.56,
        "tax_rate": f"{number // 2}.{number % 2}7",
    }
    for number in range(200)
]
LARGEST = an_order(
    line_items=LINES,
    shipping_address=ADDRESS,
    billing_address=ADDRESS,
    customer_name=WIDEST * 255,
    buyer_vat_id=WIDEST * 50,
    payment_method=WIDEST * 50,
    external_id=WIDEST * 255,
    metadata={f"{number:039d}n": WIDEST * 500 for number in range(50)},
)
# The outbox accepts payloads of 900,000 bytes, and Kafka records of 1 MiB: this leaves room for future fields.
LARGEST_EVENT_BYTES = 560_000


async def test_every_event_of_the_largest_order_is_accepted_by_kafka(make_database: MakeDatabase, kafka: str) -> None:
    await create_topics(kafka, [ORDERS_TOPIC], partitions=3)
    body = json.dumps(LARGEST).replace('7"', "7").replace('"tax_rate": "', '"tax_rate": ')
    async with serve(SERVICE, make_database("orders")) as gateway:
        # Of two callers, because the external id is unique for each.
        order_ids = [created(await gateway.call("POST", "/orders", body, key=key))["id"] for key in ("client", "ops")]
        shipment = {**PATHS["SHIPPED"][-1], "tracking_number": WIDEST * 100, "carrier": WIDEST * 100}
        changes = {
            order_ids[0]: (*PATHS["PROCESSING_IN_WAREHOUSE"], shipment, {"new_state": "DELIVERED"}),
            order_ids[1]: (*PATHS["PAID"], {"new_state": "CANCELLED", "reason": WIDEST * 500}),
        }
        for order_id, path in changes.items():
            for change in path:
                response = await gateway.patch(f"/orders/{order_id}/state", change)
                assert response.status_code == 200, response.text[:1000]
        sizes = await gateway.pool.fetch("SELECT octet_length(payload) FROM outbox")
        assert len(sizes) == 8
        assert max(size for (size,) in sizes) < LARGEST_EVENT_BYTES
        async with running_relay(gateway.pool, kafka):
            await wait_until_published(gateway.pool)
        assert await gateway.pool.fetchval("SELECT count(*) FROM outbox_parked") == 0
    records = [record for record in await Topics(kafka).records(ORDERS_TOPIC) if record.key.decode() in order_ids]
    assert len(records) == 8
