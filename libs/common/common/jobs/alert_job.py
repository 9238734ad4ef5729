"""The job that sends an alert: by e-mail, or to a webhook (ADR 41)."""

import json
from collections.abc import Mapping
from typing import Any

import httpx
from prometheus_client import Counter

from common.database.statements import Connection
from common.jobs.alerts import ALERT
from common.jobs.handler import JobHandler, Subject
from common.jobs.job import Job
from common.mail.mailer import Mailer
from common.mail.message import Mail
from common.settings import ServiceSettings
from common.telemetry.tracing import outside_call

WEBHOOK_SECONDS = 5.0
_LONGEST_SUBJECT = 150


class WebhookFailed(Exception):
    """The webhook did not answer with 2xx. The message contains no address: it may have a secret in it."""


class AlertJob(JobHandler):
    """`Idempotency-Key` of the webhook and `Message-ID` of the e-mail are the same at each attempt."""

    kind = ALERT
    # Four hours, where the unit is a minute.
    retry_delays = (1, 2, 4, 8, 16, 32, 60, 120)
    timeout_seconds = 30
    counter = Counter("alerts_total", "Alerts by how they ended.", ["outcome"])
    success = "sent"
    failure_message = "an alert could not be sent"

    def __init__(self, settings: ServiceSettings) -> None:
        self._email = settings.ops_email
        self._url = settings.ops_webhook_url
        self._mailer = Mailer(settings)
        # Made once: it takes longer than a call, and the event loop stands still meanwhile.
        self._tls = None if self._url is None else httpx.create_ssl_context()

    async def work(self, job: Job) -> Mapping[str, object]:
        """A channel that is not configured any more has nothing to do."""
        alert = job.payload["alert"]
        if job.payload["channel"] == "mail" and self._email is not None:
            await self._mailer.send(alert_mail(self._email, alert, str(job.id)))
        elif job.payload["channel"] == "webhook" and self._url is not None:
            await self._post(self._url, alert, str(job.id))
        else:
            return {"sent": False}
        return {"sent": True}

    def counted_as(self, result: Mapping[str, object]) -> str | None:
        """Only an alert that was sent is counted."""
        return self.success if result.get("sent", True) else None

    async def on_success(self, connection: Connection, job: Job) -> None:
        return None

    async def on_failure(self, connection: Connection, job: Job, error: str) -> Subject:
        return Subject(str(job.id), {"title": job.payload["alert"]["title"]})

    async def _post(self, url: str, alert: Mapping[str, Any], key: str) -> None:
        try:
            with outside_call("POST", {"http.request.method": "POST"}):  # the address may have a secret in it
                async with httpx.AsyncClient(timeout=WEBHOOK_SECONDS, verify=self._tls or True) as client:
                    answer = await client.post(url, json=alert, headers={"Idempotency-Key": key})
        except httpx.HTTPError as error:
            raise WebhookFailed(type(error).__name__) from None
        if not answer.is_success:
            raise WebhookFailed(f"the webhook answered {answer.status_code}")


def alert_mail(to: str, alert: Mapping[str, Any], key: str) -> Mail:
    """`key` identifies the alert in the message's id."""
    lines = [
        f"{name}: {value if isinstance(value, str) else json.dumps(value)}"
        for name, value in alert["details"].items()
        if value is not None
    ]
    title = f"[{alert['service']}] {alert['title']}"
    one_line = " ".join(title.split())[:_LONGEST_SUBJECT]
    text = "\n".join([title, f"at {alert['at']}", "", *lines, "", "What to do: docs/operations.md#alertmail"])
    return Mail(to=to, subject=one_line, text=f"{text}\n", message_key=f"alert-{key}")
