"""The actions that an explanation offers, as forms and links for this person."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from common.access.auth import Role

from console.pages.json_text import json_text
from console.pages.order_steps import Input

_PREFIX = "/api/v1"
_NOTES = Input("manager_notes", "notes", is_required=True, is_long=True)
_REASONS = ("damage_not_covered", "policy_violation", "outside_window", "fraudulent")
# What a person has to enter, by the end of the action's path.
_INPUTS: Mapping[str, tuple[Input, ...]] = {
    "approve": (_NOTES,),
    "reject": (_NOTES, Input("rejection_reason", "reason", is_required=True, choices=_REASONS)),
    "settlement": (
        Input("reference", "reference of the payment", is_required=True),
        Input("note", "note", is_required=True, is_long=True),
    ),
    "discard": (Input("reason", "reason", is_required=True),),
    "pause": (Input("reason", "reason", is_required=True),),
}


@dataclass(frozen=True, slots=True)
class Remedy:
    """`id` finds it again in a later explanation. `link` is the page of the console that shows what a GET reads."""

    id: str
    label: str
    method: str
    service: str
    path: str
    body: Mapping[str, Any] | None
    inputs: tuple[Input, ...]
    link: str | None


def remedies_of(findings: Iterable[Mapping[str, Any]], role: Role) -> list[Remedy]:
    """Each once. Changes of the order's state are left out: the page offers them by itself (`order_steps`)."""
    found: dict[str, Remedy] = {}
    for finding in findings:
        for action in finding["actions"]:
            is_step = action["service"] == "orders" and action["path"].endswith(("/state", "/cancel"))
            if role in action["roles"] and not is_step and action["path"].startswith(f"{_PREFIX}/"):
                remedy = _remedy(action)
                found.setdefault(remedy.id, remedy)
    return list(found.values())


def _remedy(action: Mapping[str, Any]) -> Remedy:
    path = action["path"].removeprefix(_PREFIX)
    text = json_text([action["method"], action["service"], path, action.get("body")])
    inputs = () if action["method"] == "GET" else _INPUTS.get(path.rpartition("/")[2], ())
    link = _page(action["service"], path) if action["method"] == "GET" else None
    return Remedy(
        sha256(text.encode()).hexdigest()[:16],
        action["label"],
        action["method"],
        action["service"],
        path,
        action.get("body"),
        inputs,
        link,
    )


def _page(service: str, path: str) -> str:
    match path.split("?")[0].split("/"):
        case ["", "ops", "jobs", job_id]:
            return f"/jobs/{service}/{job_id}"
        case ["", "ops", "poison", poison_id]:
            return f"/poison/{service}/{poison_id}"
        case ["", "ops", "outbox", *rest]:
            return "/".join(["/unsent-events", *([service, *rest] if rest else [])])
        case ["", "ops", "job-kinds", *_]:
            return "/kinds"
        case ["", "ops", "discrepancies"]:
            return "/findings"
        case ["", ("returns" | "refunds") as kind, identifier, *_]:
            return f"/{kind}/{identifier}"
    return f"/{path.split('/')[1]}"
