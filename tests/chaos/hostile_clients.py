"""Attack a running stack as a client without a key can, while customers place orders, who must not be affected.

    cd tests && python -m chaos.hostile_clients [--roles all] [--seconds 20] [--attack "large head"]...

A new stack gets 20 orders a second. For each attack, the table has the latency of these orders before, during and after
the attack, the memory of the attacked processes, and whether a consumer group lost a member. The run fails if a group
lost a member, memory was not released, an order was not placed, or an event is missing. The latencies are not checked,
as they depend on the load of the machine.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from chaos.hostile_attacks import ATTACKS, LARGE_CUSTOMER
from demo.journeys import example
from demo.kafka_reader import read_events
from demo.own_stack import fresh_stack
from local_stack.services import SERVICES
from local_stack.stack_json import RunningProcess, StackDescription
from support.waiting import eventually

RATE = 20
WARM_UP_SECONDS = 5
# Memory counts as released when a process has at most this much more than before: allocators retain some.
RETAINED_FACTOR, RETAINED_MIB = 1.25, 30.0
RELEASE_SECONDS = 30
GROUPS = [*SERVICES]
LARGE_ORDERS = 100


@dataclass
class Orders:
    """Places orders at a steady rate, each on its own connection. Latency is measured from the time an order is due."""

    port: int
    body: bytes
    key: str
    seconds: list[float] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    placed: int = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            due = time.perf_counter()
            while True:
                group.create_task(self._place(due))
                due += 1 / RATE
                await asyncio.sleep(max(0.0, due - time.perf_counter()))

    async def _place(self, due: float) -> None:
        try:
            async with asyncio.timeout(60):
                status = await post(self.port, self.key, self.body)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            status = repr(error)
        self.seconds.append(time.perf_counter() - due)
        if status == "201":
            self.placed += 1
        else:
            self.rejected.append(status)

    def pop_percentiles(self) -> tuple[float, float]:
        """The 50th and 99th percentile of the latency since the last call, in milliseconds."""
        ordered, self.seconds = sorted(self.seconds), []
        return ordered[len(ordered) // 2] * 1000, ordered[len(ordered) * 99 // 100] * 1000


async def post(port: int, key: str, body: bytes) -> str:
    """Place an order on a new connection; the status of the response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /api/v1/orders HTTP/1.1\r\nHost: shop\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
    try:
        writer.write(head.encode() + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        status = (await reader.readuntil(b"\r\n")).split(b" ")[1].decode()
        await reader.read()
        return status
    finally:
        writer.transport.abort()


class Memory:
    """The resident memory of the largest of the processes in MiB, now and at its peak."""

    def __init__(self, processes: list[RunningProcess]) -> None:
        self._pids = [process["pid"] for process in processes]
        self.peak = 0.0

    def now(self) -> float:
        return max(_resident_mib(pid) for pid in self._pids)

    async def watch(self) -> None:
        while True:
            self.peak = max(self.peak, self.now())
            await asyncio.sleep(0.05)


def _resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


# aiokafka 0.14 parses the response to version 3 as version 2.
DescribeGroupsRequest_v3.RESPONSE_TYPE = DescribeGroupsResponse_v3


async def group_members(bootstrap: str) -> dict[str, list[str]]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        responses = await admin.describe_consumer_groups(GROUPS)
        groups = [group for response in responses for group in response.to_object()["groups"]]
        return {group["group"]: sorted(member["member_id"] for member in group["members"]) for group in groups}
    finally:
        await admin.close()


@dataclass
class Row:
    attack: str
    before: tuple[float, float]
    during: tuple[float, float]
    after: tuple[float, float]
    memory: tuple[float, float, float]
    lost_groups: list[str]
    rejected: int

    def __str__(self) -> str:
        times = [f"{p50:.0f} / {p99:.0f}" for p50, p99 in (self.before, self.during, self.after)]
        memory = [f"{mib:.0f}" for mib in self.memory]
        lost = ", ".join(self.lost_groups) or "no"
        return f"| {' | '.join([self.attack, *times, *memory, lost, str(self.rejected)])} |"

    def failures(self) -> list[str]:
        before, _, after = self.memory
        failures = [f"{self.attack}: the group of {group} lost a member" for group in self.lost_groups]
        if after > before * RETAINED_FACTOR + RETAINED_MIB:
            failures.append(f"{self.attack}: {before:.0f} MiB became {after:.0f}")
        if self.rejected:
            failures.append(f"{self.attack}: {self.rejected} orders were not placed")
        return failures


HEADINGS = ["attack", "before", "during", "after", "MiB before", "peak", "after", "group lost", "orders not placed"]


@asynccontextmanager
async def running(*work: object) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(each) for each in work]  # type: ignore[call-overload]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


async def measure_attack(stack: StackDescription, orders: Orders, attack: str, seconds: float) -> Row:
    targets = [process for process in stack["processes"] if process["service"] == "orders"]
    if attack.startswith("unread"):
        targets = [process for process in targets if process["role"] in ("api", "all")]
    memory, bootstrap = Memory(targets), stack["kafka"]["bootstrap"]
    orders.pop_percentiles() if orders.seconds else None
    rejected, members = len(orders.rejected), await group_members(bootstrap)
    await asyncio.sleep(seconds)
    before, memory_before = orders.pop_percentiles(), memory.now()
    ports = [process["url"].rpartition(":")[2] for process in targets]
    command = ["-m", "chaos.hostile_attacks", attack, str(seconds), *ports, "--key", orders.key]
    async with running(memory.watch()):
        attackers = await asyncio.create_subprocess_exec(sys.executable, *command)
        await asyncio.sleep(seconds)
        during = orders.pop_percentiles()
        with contextlib.suppress(ProcessLookupError):
            attackers.kill()
        await attackers.wait()
    await _wait_for_release(memory, memory_before)
    orders.pop_percentiles()
    await asyncio.sleep(seconds / 2)
    now = await group_members(bootstrap)
    lost = [group for group in members if members[group] != now[group]]
    figures = (memory_before, memory.peak, memory.now())
    return Row(attack, before, during, orders.pop_percentiles(), figures, lost, len(orders.rejected) - rejected)


async def _wait_for_release(memory: Memory, before: float) -> None:
    async def is_released() -> bool:
        return memory.now() <= before * RETAINED_FACTOR + RETAINED_MIB

    await asyncio.sleep(2)
    with contextlib.suppress(AssertionError):
        await eventually(is_released, within=RELEASE_SECONDS, pause=0.2)


async def campaign(stack: StackDescription, attacks: list[str], seconds: float) -> list[str]:
    port, key = int(stack["services"]["orders"]["url"].rpartition(":")[2]), stack["api_keys"]["client"]
    orders = Orders(port, json.dumps(example("kept-order")).encode(), key)
    failures: list[str] = []
    if "unread pages" in attacks:
        for _ in range(LARGE_ORDERS):
            orders.placed += await post(port, key, _large_order()) == "201"
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    async with running(orders.run()):
        await asyncio.sleep(WARM_UP_SECONDS)
        for attack in attacks:
            row = await measure_attack(stack, orders, attack, seconds)
            print(row, flush=True)
            failures += row.failures()
    await asyncio.sleep(3)
    events = await read_events(stack["kafka"]["bootstrap"])
    created = sum(event.type == "order.created" and not event.repeat for event in events)
    print(f"{orders.placed} orders placed, {created} of their events read from Kafka; latencies are p50 / p99 in ms")
    if created < orders.placed:
        failures.append(f"{orders.placed - created} events are missing")
    return failures


def _large_order() -> bytes:
    order = example("kept-order")
    line = {**order["line_items"][0], "product_name": "x" * 255, "quantity": 1}
    return json.dumps({**order, "customer_id": LARGE_CUSTOMER, "line_items": [line] * 200}).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--roles", choices=["split", "all"], default="split")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--attack", choices=ATTACKS, action="append")
    arguments = parser.parse_args()
    os.environ |= {"ROLES": arguments.roles, "RATE_LIMIT_PER_MINUTE": "0"}
    print(f"roles: {arguments.roles}; load of the machine: {os.getloadavg()[0]:.1f}")
    with TemporaryDirectory(prefix="articurated-hostile-clients-") as folder, fresh_stack(Path(folder)) as stack:
        failures = asyncio.run(campaign(stack, arguments.attack or list(ATTACKS), arguments.seconds))
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}")
    if failures:
        sys.exit("hostile clients had an effect: " + "; ".join(failures))


if __name__ == "__main__":
    main()
