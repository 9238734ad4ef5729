"""What the console knows of the system without a person's rights: the open pages of every role, and alerts."""

from collections.abc import Sequence

import httpx

from console.services.alerts import Alerts, alerts_firing
from console.services.roles import RoleHealth, health_of_roles
from console.services.samples import Chart, Samples


class Monitoring:
    """`roles` are the names and addresses of all roles. `start` it inside the event loop, and `close` it at the end."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        roles: Sequence[tuple[str, str]],
        *,
        alertmanager_url: str | None = None,
        prometheus_url: str | None = None,
    ) -> None:
        self._http = http
        self._roles = roles
        self._alertmanager_url = alertmanager_url
        self._prometheus_url = prometheus_url
        self.samples = Samples(http, roles)

    async def health(self) -> list[RoleHealth]:
        return await health_of_roles(self._http, self._roles)

    async def alerts(self) -> Alerts | None:
        return await alerts_firing(self._http, self._alertmanager_url, self._prometheus_url)

    @property
    def charts(self) -> list[Chart]:
        return self.samples.charts
