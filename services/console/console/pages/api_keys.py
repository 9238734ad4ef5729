"""API keys of each service: list, creation and revocation."""

from typing import Any

from common.access.auth import Role

from console.pages.answers import Answer, Done, View
from console.pages.lists import new_key, sections, service_named, service_of
from console.pages.refusals import acted
from console.pages.visit import Visit
from console.services.client import ApiError, segment
from console.services.services import NAMES

_MOST_ROWS = 60
_OPTIONS = ("customer_id", "expires_at", "rate_limit", "subject")


async def page(visit: Visit) -> View:
    content: dict[str, Any] = {
        "sections": await sections(visit, "/ops/api-keys", _MOST_ROWS),
        "services": NAMES,
        "service": visit.query("service"),
        "roles": list(Role),
        "key": new_key(),
        "refusal": None,
        "entered": {},
        "own_prefix": _own_prefix(visit),
    }
    return View("api_keys.html", content)


def _own_prefix(visit: Visit) -> str | None:
    """Of the key with which the person is logged in."""
    credential = visit.person.credential
    return credential.secret.partition(".")[0] if credential.kind == "key" else None


async def create(visit: Visit) -> Answer:
    """The key is shown by this answer only: it is in no cookie, and no other page has it."""
    service = service_named(visit, visit.form.get("service", ""))
    body: dict[str, Any] = {"name": visit.form.get("name", ""), "role": visit.form.get("role", "")}
    body |= {name: visit.form[name] for name in _OPTIONS if visit.form.get(name)}
    if str(body.get("expires_at", "")).count(":") == 1:  # what browsers send of a date and time
        body["expires_at"] += ":00Z"
    if str(body.get("rate_limit", "")).isdecimal():
        body["rate_limit"] = int(body["rate_limit"])
    try:
        created = await service.send("POST", "/ops/api-keys", body, key=visit.form.get("key"))
    except ApiError as error:
        if error.status == 401 or error.may_have_acted:
            raise
        view = await page(visit)
        content = {**view.content, "refusal": error.problems, "entered": dict(visit.form)}
        return View(view.template, content, status=error.status)
    return View("api_key_created.html", {"created": created, "service": service.name}, title="API key created")


async def revoke(visit: Visit) -> Answer:
    service, prefix = service_of(visit), visit.path("prefix")

    def done(_: Any) -> Done:
        return Done(
            "/api-keys", f"The key {prefix} of {service.name} is revoked; all processes reject it within seconds."
        )

    sent = service.send("DELETE", f"/ops/api-keys/{segment(prefix)}", key=visit.form.get("key"))
    return await acted(visit, sent, page, done)
