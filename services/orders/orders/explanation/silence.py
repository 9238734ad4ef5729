"""Findings: services that did not answer, so that what only they know is missing."""

from collections.abc import Iterator

from orders.explanation.evidence import Evidence
from orders.explanation.finding import Finding, Severity, State

_HEADLINES = {
    "unreachable": "{} cannot be reached: what only it knows of the order is missing here.",
    "slow": "{} did not answer in time: what only it knows of the order is missing here.",
    "unavailable": "{} answers that it is unavailable, as it does when its database is: what only it knows is missing.",
    "refused": "{} did not accept the request: what only it knows of the order is missing here.",
}
_REMEDIES = {
    "unreachable": "Start the role api of {}, or check its address in the settings of orders.",
    "slow": "Look at the load of {} and of its database: locks, long statements, processor.",
    "unavailable": "Check the database of {}: /readyz of {} names what is missing.",
    "refused": "Use a key that {} knows too: a key must be made, or revoked, in every service.",
}


def silent_services(evidence: Evidence) -> Iterator[Finding]:
    for service, silence in evidence.silent.items():
        yield Finding(
            cause=f"service-{silence.reason}",
            severity=Severity.WARNING,
            state=State.UNKNOWN,
            service=service,
            headline=_HEADLINES[silence.reason].format(service),
            next="Events for it wait in Kafka and its jobs in its database; both continue when it does. "
            f"It said: {silence.error}.",
            remedy=_REMEDIES[silence.reason].format(service, service),
        )
