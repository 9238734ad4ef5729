"""The first sentence of the overview: that everything works, or what does not."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from console.pages.visit import Part
from console.services.alerts import Alerts
from console.services.roles import RoleHealth

# What the status of a service has beside its jobs: the name of one, and how many there are.
_WAITING = ("poison record", "parked event", "open discrepancy")
# The reconcilers report these too; they are counted and shown once.
COUNTED_ALREADY = frozenset({"poison_kept", "event_parked"})


@dataclass(frozen=True, slots=True)
class Summary:
    """`is_whole`: the person's role may see the status of the services."""

    troubles: Sequence[str]
    is_whole: bool

    @property
    def text(self) -> str:
        if self.troubles:
            return f"{', '.join(self.troubles)}."
        return "Everything works." if self.is_whole else "Everything works, as far as your role may see."


def summary_of(
    health: Sequence[RoleHealth],
    statuses: Mapping[str, Part[Any]],
    failures: Mapping[str, Part[Any]],
    alerts: Alerts | None,
    *,
    is_whole: bool,
) -> Summary:
    """What is not known is a trouble like any other: without it, the sentence would say that everything works."""
    not_ready = sum(not role.is_ready for role in health)
    unknown = sum(part.data is None for part in statuses.values())
    unlisted = sum(part.data is None and not _is_unknown(statuses, name) for name, part in failures.items())
    groups = sum(len(part.data["data"]) for part in failures.values() if part.data is not None)
    troubles = [f"{not_ready} of {len(health)} roles are not ready"] if not_ready else []
    if unknown:
        troubles.append(f"{_count(unknown, 'service')} did not report {'its' if unknown == 1 else 'their'} status")
    if unlisted:
        troubles.append(f"{_count(unlisted, 'service')} did not list {'its' if unlisted == 1 else 'their'} failed work")
    if groups:
        troubles.append(f"{_count(groups, 'cause')} of failed work")
    known = [part.data for part in statuses.values() if part.data is not None]
    if paused := sum(kind["paused"] for status in known for kind in status["jobs"]):
        troubles.append(f"{_count(paused, 'kind')} of work {'is' if paused == 1 else 'are'} paused")
    troubles += _waiting(known)
    if alerts is not None and alerts.error:
        troubles.append("whether an alert fires is unknown")
    if alerts is not None and alerts.firing:
        number = len(alerts.firing)
        troubles.append(f"{_count(number, 'alert')} {'fires' if number == 1 else 'fire'}")
    return Summary(troubles, is_whole)


def _is_unknown(statuses: Mapping[str, Part[Any]], name: str) -> bool:
    return name in statuses and statuses[name].data is None


def _waiting(statuses: Iterable[Any]) -> Iterator[str]:
    """What waits for an operator and is no job."""
    totals = dict.fromkeys(_WAITING, 0)
    for status in statuses:
        totals["poison record"] += sum(each["kept"] for each in status["poison"])
        totals["parked event"] += status["outbox"]["parked"]
        totals["open discrepancy"] += sum(
            each["open"] for each in status["discrepancies"] if each["check"] not in COUNTED_ALREADY
        )
    return (_count(number, name) for name, number in totals.items() if number)


def _count(number: int, name: str) -> str:
    plural = f"{name.removesuffix('y')}ies" if name.endswith("y") else f"{name}s"
    return f"1 {name}" if number == 1 else f"{number} {plural}"
