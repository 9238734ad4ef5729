"""The problems that a verification of the audit trail finds."""

from common.database.statements import Record
from common.operators.results import AuditProblem

_MOST = 100


class Problems:
    """Counts all problems and keeps the first hundred."""

    def __init__(self) -> None:
        self.number = 0
        self.found: list[AuditProblem] = []

    def add(self, kind: str, place: Record | None = None, explanation: str | None = None) -> None:
        """`place` is an audit row or a leaf: what is wrong begins at its position. None means the log as a whole."""
        self.number += 1
        if len(self.found) < _MOST:
            self.found.append(
                {
                    "kind": kind,
                    "entity_type": None if place is None else place["entity_type"],
                    "entity_id": None if place is None else place["entity_id"],
                    "position": None if place is None else place["position"],
                    "explanation": explanation,
                }
            )
