"""Generator of the tables in `docs/reference`: `make reference` writes them from the code.

A table stands in its page between `<!-- table: its name -->` and `<!-- end -->`; everything else on the page is written
by hand.
"""

import argparse
import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from common.database.failures import RULINGS
from common.operators.console import add_operator_commands
from common.settings import ProcessSettings
from console.settings import ConsoleSettings
from generators.event_schemas import PUBLISHED, example_files, schema_file, schema_of
from generators.http_tables import COMMON, OPERATORS, Schema, access, bodies, fields, is_own, routes, service, table
from generators.metrics import metrics_table
from local_stack.services import SERVICES
from origin.settings import OriginSettings
from pydantic import SecretStr

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "reference").glob("*.md"))
_TABLE = re.compile(r"(<!-- table: (?P<name>[^>]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    for page in PAGES:
        page.write_text(filled(page.read_text()))


def filled(text: str) -> str:
    """The page with its tables written anew from the code. Raises `KeyError` for an unknown table name."""
    return _TABLE.sub(lambda found: f"{found[1]}\n{TABLES[found['name']]()}\n{found[3]}", text)


def table_names(text: str) -> list[str]:
    return [found["name"] for found in _TABLE.finditer(text)]


def transitions(domain: str) -> str:
    allowed: Mapping[str, Iterable[str]] = importlib.import_module(domain).ALLOWED_TRANSITIONS
    return table(
        ["from", "to"],
        [
            [f"`{before}`", ", ".join(f"`{after}`" for after in sorted(afters)) or "-"]
            for before, afters in allowed.items()
        ],
    )


def events() -> str:
    rows = []
    for event_type in PUBLISHED:
        examples = [f"[{file.stem}]({_from_pages(file)})" for file in example_files(event_type)]
        schema = f"[schema]({_from_pages(schema_file(event_type))})"
        rows.append([f"`{event_type}`", PUBLISHED[event_type].__name__, schema, ", ".join(examples)])
    return table(["type", "data", "schema", "examples"], rows)


def _from_pages(file: Path) -> str:
    return f"../../{file.relative_to(ROOT)}"


def event_data(*event_types: str) -> str:
    """The fields of the data, all of which are always sent, followed by the fields of its parts."""
    parts: dict[str, Schema] = {}
    text = []
    for event_type in event_types:
        schema = schema_of(event_type)
        parts |= schema.get("$defs", {})
        text.append(f"#### {PUBLISHED[event_type].__name__}\n\n{fields(schema, parts, required=False)}")
    objects = {name: part for name, part in parts.items() if "properties" in part}
    text += [f"#### {name}\n\n{fields(part, parts, required=False)}" for name, part in objects.items()]
    return "\n".join(text)


def rulings() -> str:
    rows = []
    for each in RULINGS:
        verdict = "fault" if each.failure is None else each.failure.value
        rows.append([f"`{each.code}`", each.meaning, verdict, "yes" if each.closes else "-", each.reason])
    return table(["code", "meaning", "classified as", "connection closed", "reason"], rows)


def commands() -> str:
    topics = argparse.ArgumentParser().add_subparsers()
    add_operator_commands(topics)
    return table(["command", "action"], ([f"`{words}`", meaning] for words, meaning in _commands(topics, ())))


def _commands(topics: Any, words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for command in topics._choices_actions:
        parser = topics.choices[command.dest]
        nested = next((each for each in parser._actions if isinstance(each, argparse._SubParsersAction)), None)
        if nested is not None:
            yield from _commands(nested, (*words, command.dest))
        else:
            yield " ".join([*words, command.dest, *_arguments(parser)]), str(command.help)


def _arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    for each in parser._actions:
        if each.dest in ("help", "format"):
            continue
        value = (
            ""
            if each.nargs == 0
            else "\\|".join(map(str, each.choices))
            if each.choices
            else str(each.metavar or each.dest).upper()
        )
        if not each.option_strings:
            yield value
        else:
            yield f"{each.option_strings[0]} {value}" if each.required else f"[{each.option_strings[0]} {value}]"


def settings(name: str) -> Iterator[tuple[str, str]]:
    """Each environment variable of a service with its default; for `common`, those that every service has."""
    every = importlib.import_module("common.settings").ServiceSettings.model_fields
    without_database: dict[str, type[ProcessSettings]] = {"origin": OriginSettings, "console": ConsoleSettings}
    own = without_database[name].model_fields if name in without_database else None
    for field, info in (every if name == "common" else own or service(name).settings.model_fields).items():
        if name == "common" or field not in every:
            yield field.upper(), "required" if info.is_required() else _shown(info.get_default())


def _shown(default: Any) -> str:
    value = default.get_secret_value() if isinstance(default, SecretStr) else default
    value = str(value).lower() if isinstance(value, bool) else value
    return "-" if value in (None, "") else f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


TABLES: Mapping[str, Callable[[], str]] = {
    **{f"routes of {name}": partial(routes, name, is_own) for name in SERVICES},
    **{f"bodies of {name}": partial(bodies, name) for name in SERVICES},
    **{f"access to {name}": partial(access, name, is_own) for name in SERVICES},
    "access to every service": partial(access, "orders", COMMON.__contains__),
    "access for operators": partial(access, "orders", lambda path: path.startswith(OPERATORS)),
    "routes of every service": partial(routes, "orders", COMMON.__contains__),
    "bodies of every service": partial(bodies, "orders", COMMON.__contains__),
    "routes of operators": partial(routes, "orders", lambda path: path.startswith(OPERATORS)),
    "bodies of operators": partial(bodies, "orders", lambda path: path.startswith(OPERATORS)),
    "states of orders": partial(transitions, "orders.domain.states"),
    "states of returns": partial(transitions, "returns.domain.return_"),
    "states of refunds": partial(transitions, "refunds.domain.refund"),
    "events": events,
    "data of order events": partial(event_data, "order.shipped"),
    "data of return events": partial(event_data, "return.completed"),
    "data of invoice events": partial(event_data, "invoice.issued", "invoice.failed"),
    "data of refund events": partial(event_data, "refund.succeeded"),
    "data of discrepancies": partial(event_data, "reconciliation.discrepancy"),
    "data of dead letters": partial(event_data, "job.dead_lettered", "record.dead_lettered"),
    "metrics": metrics_table,
    "commands": commands,
    "rulings on database errors": rulings,
}


if __name__ == "__main__":
    main()
