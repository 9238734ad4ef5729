"""Query parameters of lists that filter by the time of creation."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query

from common.edge.requests.fields import Instant


@dataclass(frozen=True, slots=True)
class Created:
    """A time of creation, both ends included; None is no limit."""

    earliest: datetime | None
    latest: datetime | None


def _created(
    created_from: Annotated[Instant | None, Query(description="Created at this time or later.")] = None,
    created_to: Annotated[Instant | None, Query(description="Created at this time or before.")] = None,
) -> Created:
    return Created(created_from, created_to)


CreatedQuery = Annotated[Created, Depends(_created)]
