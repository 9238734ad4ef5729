"""Which metrics of a running stack have changed since the first look at them."""

import asyncio

import httpx
from local_stack.stack_json import StackDescription
from prometheus_client.parser import text_string_to_metric_families
from support.processes.tls import TLS

Series = dict[tuple[str, ...], float]


class Scrapes:
    """The series of all processes that serve `/metrics`."""

    def __init__(self, stack: StackDescription) -> None:
        self._urls = {
            each["name"]: each["url"]
            for each in stack["processes"]
            if each["service"] in stack["services"] or each["name"] in ("gateway", "console")
        }
        self._first: dict[str, Series] = {}
        self.moved: set[str] = set()

    async def look(self, only: str = "") -> None:
        """At the processes whose names begin with `only`. A series that was not there at first has begun at 0."""
        async with httpx.AsyncClient(timeout=10, verify=TLS) as client:
            names = [name for name in self._urls if name.startswith(only)]
            pages = await asyncio.gather(*(self._series(client, name) for name in names))
        for name, series in zip(names, pages, strict=True):
            if name not in self._first:
                self._first[name] = series
                continue
            first = self._first[name]
            self.moved |= {labels[0] for labels, value in series.items() if value != first.get(labels, 0.0)}

    async def _series(self, client: httpx.AsyncClient, name: str) -> Series:
        try:
            page = (await client.get(f"{self._urls[name]}/metrics")).raise_for_status().text
        except httpx.TransportError:  # a process that a cause has stopped
            return dict(self._first.get(name, {}))
        return {
            (sample.name, *(f"{label}={value}" for label, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }
