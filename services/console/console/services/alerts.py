"""The alerts that fire, from Alertmanager or Prometheus."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

_ANSWER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Alert:
    name: str
    severity: str
    summary: str
    since: str | None


@dataclass(frozen=True, slots=True)
class Alerts:
    """`error` says why they are not known."""

    firing: tuple[Alert, ...] = ()
    error: str | None = None


async def alerts_firing(http: httpx.AsyncClient, alertmanager: str | None, prometheus: str | None) -> Alerts | None:
    """None where the settings name neither. Alertmanager knows which are silenced, so it is asked first."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            if alertmanager is not None:
                query = {"active": "true", "silenced": "false", "inhibited": "false"}
                response = await http.get(f"{alertmanager}/api/v2/alerts", params=query)
                return Alerts(tuple(_alert(each, "startsAt") for each in response.raise_for_status().json()))
            if prometheus is not None:
                response = await http.get(f"{prometheus}/api/v1/alerts")
                alerts = response.raise_for_status().json()["data"]["alerts"]
                return Alerts(tuple(_alert(each, "activeAt") for each in alerts if each["state"] == "firing"))
    except (httpx.HTTPError, TimeoutError, ValueError, KeyError, TypeError):
        return Alerts(error="The monitoring does not answer.")
    return None


def _alert(alert: Mapping[str, Any], since: str) -> Alert:
    labels, annotations = alert.get("labels", {}), alert.get("annotations", {})
    summary = annotations.get("summary") or annotations.get("description") or ""
    return Alert(labels.get("alertname", "?"), labels.get("severity", ""), summary, alert.get(since))
