"""What a page's function returns: a template with its content, a redirect after a change, or a file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class View:
    """A template with its variables. `title` is shown in place of the page's own, such as an order's number."""

    template: str
    content: Mapping[str, Any] = field(default_factory=dict)
    title: str | None = None
    status: int = 200


@dataclass(frozen=True, slots=True)
class Done:
    """The browser is sent to `path`, which shows the message once, such as that a change was made."""

    path: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """Is shown in the browser, with this name if it is saved."""

    content: bytes
    media_type: str
    name: str


Answer = View | Done | File
