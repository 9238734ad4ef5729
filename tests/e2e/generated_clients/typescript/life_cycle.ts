// One order's life, from placement to refund, with the generated TypeScript client.
//
//     node life_cycle.ts ORDER.json < stack.json
//
// The file articurated.d.ts is generated from docs/api/openapi.yaml by test_generated_clients.py, which also checks this
// file with tsc: that it passes shows that the client has the types which a user relies on.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./articurated.d.ts";

type Schemas = components["schemas"];
type OrderResponse = Schemas["OrderResponse"];
type Service = "orders" | "returns";
type Address = { url: string };
type Stack = { gateway?: Address; services: Record<Service, Address>; api_keys: Record<string, string> };

const WAIT_MILLISECONDS = 30_000;

async function eventually<Value>(find: () => Promise<Value | undefined>): Promise<Value> {
  const deadline = Date.now() + WAIT_MILLISECONDS;
  for (;;) {
    const found = await find();
    if (found !== undefined) return found;
    assert(Date.now() < deadline, "waited in vain");
    await setTimeout(50);
  }
}

// A client of the one origin, or of the service where the stack has none.
function clientOf(stack: Stack, service: Service, role: string) {
  const baseUrl = (stack.gateway ?? stack.services[service]).url;
  return createClient<paths>({ baseUrl, headers: { "X-API-Key": stack.api_keys[role] ?? "" } });
}

async function orderLife(stack: Stack, body: Schemas["OrderCreate"]): Promise<OrderResponse> {
  const asRole = (role: string) => clientOf(stack, "orders", role);
  const customer = asRole("client");
  const header = { "Idempotency-Key": randomUUID() };
  const placed = await customer.POST("/api/v1/orders", { body, params: { header } });
  assert(placed.data, JSON.stringify(placed.error));
  assert.equal(placed.data.status, "PENDING_PAYMENT");
  const again = await customer.POST("/api/v1/orders", { body, params: { header } });
  assert.equal(again.data?.id, placed.data.id);

  const path = { order_id: placed.data.id };
  const change = (role: string, body: Schemas["OrderStateChange"]) =>
    asRole(role).PATCH("/api/v1/orders/{order_id}/state", { params: { path }, body });
  const refused = await change("warehouse", { new_state: "DELIVERED" });
  const reason = refused.error?.error;
  assert(reason?.code === "INVALID_STATE_TRANSITION");
  assert.deepEqual(reason.details.allowed_transitions, ["PAID", "CANCELLED"]);

  const payment_transaction_id = `pi_${placed.data.order_number}`;
  await change("payments", { new_state: "PAID", payment_transaction_id });
  await change("warehouse", { new_state: "PROCESSING_IN_WAREHOUSE" });
  await change("warehouse", { new_state: "SHIPPED", carrier: "UPS", tracking_number: "1Z999AA10123456784" });
  const delivered = await change("warehouse", { new_state: "DELIVERED" });
  assert(delivered.data, JSON.stringify(delivered.error));
  assert.equal(delivered.data.status, "DELIVERED");
  assert.deepEqual(delivered.data.shipping_address, body.shipping_address);

  const issued = async () => (await customer.GET("/api/v1/orders/{order_id}/invoice", { params: { path } })).data;
  assert.equal((await eventually(issued)).total_amount, delivered.data.total_amount);
  const query = { customer_id: body.customer_id, status: "DELIVERED" as const, limit: 1 };
  const page = await customer.GET("/api/v1/orders", { params: { query } });
  assert.equal(page.data?.data[0]?.id, placed.data.id);
  const history = await customer.GET("/api/v1/orders/{order_id}/history", { params: { path } });
  assert.equal(history.data?.data.length, 4);
  assert.equal((await customer.GET("/api/v1/health")).data?.status, "healthy");
  assert((await customer.GET("/api/v1/metrics")).data?.orders?.by_status["DELIVERED"]);
  return delivered.data;
}

async function returnLife(stack: Stack, order: OrderResponse): Promise<Schemas["ReturnResponse"]> {
  const asRole = (role: string) => clientOf(stack, "returns", role);
  const opened = await asRole("client").POST("/api/v1/returns", { body: { order_id: order.id, reason: "cracked" } });
  assert(opened.data, JSON.stringify(opened.error));
  assert.equal(opened.data.refund_amount, order.total_amount);

  const path = { return_id: opened.data.id };
  const body = { manager_notes: "seen on the photo" };
  await asRole("manager").PATCH("/api/v1/returns/{return_id}/approve", { params: { path }, body });
  const steps: [string, Schemas["ReturnStateChange"]["new_state"]][] = [
    ["client", "IN_TRANSIT"],
    ["warehouse", "RECEIVED"],
    ["warehouse", "COMPLETED"],
  ];
  for (const [role, new_state] of steps) {
    await asRole(role).PATCH("/api/v1/returns/{return_id}/state", { params: { path }, body: { new_state } });
  }
  return eventually(async () => {
    const found = await asRole("client").GET("/api/v1/returns/{return_id}", { params: { path } });
    return found.data?.refund_status === "SUCCEEDED" ? found.data : undefined;
  });
}

const stack: Stack = JSON.parse(readFileSync(0, "utf8"));
const order = await orderLife(stack, JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")));
const returned = await returnLife(stack, order);
console.log(`${order.order_number} returned, refund ${returned.refund_transaction_id}`);
