"""What a test reads of a page: its texts, links and forms, as a browser without scripts finds them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_WITHOUT_END = {"meta", "link", "input", "br", "hr", "img", "path", "rect", "line", "polyline", "circle"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    children: list["Element | str"] = field(default_factory=list)

    def all(self, *tags: str) -> Iterator["Element"]:
        """Below this one, in the order of the page; with any tag if none is given."""
        for child in self.children:
            if isinstance(child, Element):
                if not tags or child.tag in tags:
                    yield child
                yield from child.all(*tags)

    @property
    def text(self) -> str:
        parts = (child if isinstance(child, str) else child.text for child in self.children)
        return " ".join(" ".join(parts).split())


@dataclass(frozen=True)
class Form:
    """`fields` are those that are sent without a change by the person, `buttons` the texts of its buttons."""

    method: str
    action: str
    fields: dict[str, str]
    buttons: list[str]


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("document", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in _WITHOUT_END:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag in _WITHOUT_END:
            return
        element = self._open.pop()
        if element.tag != tag:
            raise ValueError(f"</{tag}> ends <{element.tag}>")

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def parse(html: str) -> Element:
    """Raises `ValueError` for elements that are not nested."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    return parser.root


def forms_of(page: Element) -> list[Form]:
    return [
        Form(
            form.attributes.get("method", "get"),
            form.attributes["action"],
            dict(_fields(form)),
            [button.text for button in form.all("button")],
        )
        for form in page.all("form")
    ]


def _fields(form: Element) -> Iterator[tuple[str, str]]:
    for each in form.all("input", "textarea", "select"):
        name = each.attributes.get("name", "")
        if each.tag == "select":
            options = list(each.all("option"))
            chosen = next((option for option in options if "selected" in option.attributes), options[0])
            yield name, chosen.attributes.get("value", chosen.text)
        elif each.tag == "textarea":
            yield name, each.text
        elif each.attributes.get("type") not in ("checkbox", "radio") or "checked" in each.attributes:
            yield name, each.attributes.get("value", "")
