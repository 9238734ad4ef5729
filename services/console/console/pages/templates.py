"""The templates, with the filters that all of them may use."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import uuid4

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from console.pages.money import amount_text, money
from console.static_files import StaticFiles

# What jobs and events are about: an order, or its cancellation.
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ORDER = re.compile(rf"(?:cancellation:)?({_ID.pattern})")


class Templates:
    def __init__(self, static: StaticFiles, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._environment = Environment(
            loader=PackageLoader("console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals |= {
            "static": static.address,
            "new_key": lambda: str(uuid4()),
            "now": lambda: self._now().isoformat(),
        }
        self._environment.filters |= {"time": time_element, "age": self.age, "words": words, "seconds": duration}
        self._environment.filters |= {"order_id": order_id, "short_hash": short_hash, "is_id": is_id}
        self._environment.filters |= {"amount": amount_text, "money": money}

    def render(self, name: str, content: Mapping[str, Any]) -> str:
        return self._environment.get_template(name).render(content)

    def age(self, moment: str | None) -> str:
        """`3 min` for a time three minutes ago; also of a time to come."""
        return "" if moment is None else duration(abs((self._now() - datetime.fromisoformat(moment)).total_seconds()))


def time_element(moment: str | None) -> Markup | str:
    """A time of an API, to the second, in UTC."""
    if moment is None:
        return ""
    shown = datetime.fromisoformat(moment).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return Markup('<time datetime="{}">{} UTC</time>').format(moment, shown)


def duration(seconds: float | Decimal | None) -> str:
    """`3 min`; the numbers of the APIs are read as decimals."""
    if seconds is None:
        return ""
    seconds = float(seconds)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = timedelta(seconds=seconds) // timedelta(minutes=1)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"


def order_id(key: str | None) -> str | None:
    """The order that a key of an event or a job names, if it does."""
    found = _ORDER.fullmatch(key or "")
    return None if found is None else found[1]


def is_id(text: str | None) -> bool:
    """Whether it is an id, and not a name, which old audit rows have."""
    return text is not None and _ID.fullmatch(text) is not None


def short_hash(text: str) -> str:
    """A short name of a long text, such as for an `id` in HTML."""
    return sha256(text.encode()).hexdigest()[:12]


def words(name: str) -> str:
    """`PROCESSING_IN_WAREHOUSE` and `late-payment` as words."""
    return name.replace("_", " ").replace("-", " ").lower()
