"""The metrics that the code registers, with type, unit, labels, and the dashboards and alerts that use them."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass

import common
import console.app  # noqa: F401 - its metrics
import invoicing.worker
import orders.use_cases.payments  # noqa: F401 - its metrics
import origin.application  # noqa: F401 - its metrics
import refunds.checks
import refunds.worker
import returns.worker
from generators.http_tables import table
from generators.monitored import users
from prometheus_client import REGISTRY

# Of names that do not end with their unit.
_UNITS = {
    "book_trial_balance_difference": "major units of the currency",
    "payment_gateway_circuit_open": "0 or 1",
    "consumer_lag": "records",
    "consumer_waiting_records": "records",
    "http_server_connections": "connections",
    "waiting_requests": "requests",
}
_SUFFIXES = {"_seconds": "seconds", "_rows": "rows", "_bytes": "bytes"}


@dataclass(frozen=True)
class Metric:
    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str

    @property
    def unit(self) -> str:
        name = self.name.removesuffix("_total")
        suffix = next((each for each in _SUFFIXES if name.endswith(each)), None)
        return _UNITS.get(name) or ("number" if suffix is None else _SUFFIXES[suffix])


def registered() -> Iterator[Metric]:
    """In the order of their names, without those of the Python process."""
    for package in (common, invoicing.worker, refunds.worker, returns.worker):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".migrations" not in module.name:
                importlib.import_module(module.name)
    found = {}
    for collector in set(REGISTRY._names_to_collectors.values()):
        labels = getattr(collector, "_labelnames", None)
        if labels is not None:
            [metric] = collector.collect()
            name = f"{metric.name}_total" if metric.type == "counter" else metric.name
            found[name] = Metric(name, metric.type, tuple(labels), metric.documentation)
    yield from (found[name] for name in sorted(found))


def metrics_table() -> str:
    return table(
        ["metric", "type", "unit", "labels", "meaning", "dashboards and alerts"],
        (
            [
                f"`{each.name}`",
                each.kind,
                each.unit,
                ", ".join(f"`{label}`" for label in each.labels) or "-",
                each.meaning,
                ", ".join(dict.fromkeys(_link(user) for user in users(each.name))) or "-",
            ]
            for each in registered()
        ),
    )


def _link(user: str) -> str:
    """Alerts have capitals and a section of the runbook; dashboards have neither."""
    return user if user.islower() else f"[{user}](../operations.md#{user.lower()})"
