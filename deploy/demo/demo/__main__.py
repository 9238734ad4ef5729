"""`make demo`: a fresh stack, three customers' orders, every claim checked; exit status 1 when anything is missing."""

import asyncio
import os
import sys
import time
from collections import defaultdict
from pathlib import Path

from local_stack.stack_json import NotRunningError, StackDescription
from rich.console import Console

from demo.client import Shop, Unexpected
from demo.kafka_reader import TOPICS, Seen, expect_gapless, read_events
from demo.narrator import Narrator
from demo.own_stack import fresh_stack
from demo.stories import STORIES, Ending


def main() -> None:
    console = Console(highlight=False)
    folder = Path(os.environ.get("STACK_DIR") or ".local/demo")
    began = time.monotonic()
    try:
        with fresh_stack(folder) as stack:
            asyncio.run(tell(Shop(stack), Narrator(console)))
        console.print(
            f"The PDFs are in {folder}/storage/invoices, the e-mails in {folder}/sandbox/mailbox.", soft_wrap=True
        )
    except (Unexpected, NotRunningError) as failure:
        sys.exit(f"The demo failed: {failure}\nThe logs are in {folder / 'logs'}.")
    console.print(f"[green]Everything is as it should be[/], in {time.monotonic() - began:.0f} s with start and stop.")


async def tell(shop: Shop, narrator: Narrator) -> None:
    stack = shop.stack
    try:
        endings = [await story(shop, narrator) for story in STORIES]
        await read_back(stack, narrator, endings)
        narrator.closing(
            [_left_of(stack, ending) for ending in endings], ("Order", "How it ended", "Invoice", "Refund")
        )
    finally:
        await shop.close()


async def read_back(stack: StackDescription, narrator: Narrator, endings: list[Ending]) -> None:
    """Every event that the stories should have made is on its topic, in sequence, and no other of theirs."""
    narrator.story("The events, read back from Kafka by a consumer of its own")
    async with narrator.step("reads the four topics from the beginning", actor="a subscriber") as told:
        events = await read_events(stack["kafka"]["bootstrap"])
        expect_gapless(events)
        told(f"{len(events)} events, each key in sequence without gaps")
    for ending in endings:
        found = _by_topic(events, ending.order["id"])
        if found != ending.events:
            raise Unexpected(f"events of {ending.order['order_number']}: {found} in place of {ending.events}")
        types = [event for topic in found.values() for event in topic]
        narrator.say(f"  [dim]{ending.order['order_number']}[/]  {', '.join(types)}")


def _by_topic(events: list[Seen], order_id: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for event in sorted(events, key=lambda event: TOPICS.index(event.topic)):
        if event.key == order_id and not event.repeat:
            found[event.topic].append(event.type)
    return dict(found)


def _left_of(stack: StackDescription, ending: Ending) -> tuple[str, ...]:
    invoice = str(ending.invoice["invoice_number"]) if ending.invoice else "-"
    refund = ending.refund_transaction_id or "-"
    return (ending.order["order_number"], ending.title, invoice, refund)


if __name__ == "__main__":
    main()
