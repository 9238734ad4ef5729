"""A schema may get new fields with a default; any other change needs a new version."""

from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from common.messaging.envelope import EventData
from generators.compatibility import as_first_published, breaking_changes
from jsonschema import Draft202012Validator


class Glaze(StrEnum):
    CELADON = "CELADON"
    IRON = "IRON"


class Cup(EventData):
    glaze: Glaze
    price: Decimal


class Parcel(EventData):
    cups: tuple[Cup, ...]
    gift: Cup | None
    weight: int


class CupWithHandle(Cup):
    handle: bool = False


class PriceyCup(EventData):
    glaze: Glaze
    price: float


class ParcelWithNote(Parcel):
    note: str | None = None


class ParcelWithHandles(EventData):
    cups: tuple[CupWithHandle, ...]
    gift: CupWithHandle | None
    weight: int


class ParcelWithSender(Parcel):
    sender: str


class LightParcel(EventData):
    cups: tuple[Cup, ...]
    gift: Cup | None


class ParcelOfPriceyCups(EventData):
    cups: tuple[PriceyCup, ...]
    gift: Cup | None
    weight: int


class ParcelWithoutGift(EventData):
    cups: tuple[Cup, ...]
    gift: Cup
    weight: int


def schema(model: type[EventData]) -> dict[str, Any]:
    return model.model_json_schema(mode="serialization")


@pytest.mark.parametrize("new", [Parcel, ParcelWithNote, ParcelWithHandles])
def test_fields_with_a_default_may_be_added_at_any_depth(new: type[EventData]) -> None:
    assert breaking_changes(schema(Parcel), schema(new)) == []


@pytest.mark.parametrize(
    ("new", "complaint"),
    [
        (ParcelWithSender, "data.sender is new and has no default"),
        (LightParcel, "data.weight is gone"),
        (ParcelOfPriceyCups, "data.cups[].price was"),
        (ParcelWithoutGift, "data.gift was"),
    ],
)
def test_all_other_changes_are_incompatible(new: type[EventData], complaint: str) -> None:
    changes = breaking_changes(schema(Parcel), schema(new))
    assert any(change.startswith(complaint) for change in changes), changes


def test_an_event_from_before_a_new_field_is_still_valid() -> None:
    event = {"cups": [{"glaze": "IRON", "price": "24.90"}], "gift": None, "weight": 300}
    for model in (ParcelWithNote, ParcelWithHandles):
        assert Draft202012Validator(as_first_published(schema(model))).is_valid(event)
    assert not Draft202012Validator(as_first_published(schema(ParcelWithNote))).is_valid({"cups": [], "gift": None})
