"""A dependency's private names are used in common's internals only."""

from pathlib import Path

from architecture.private_names import private_names
from architecture.source_files import ROOT, write_tree

BREACHES = """
import aiokafka.client
import pydantic._internal
from starlette import _utils
from starlette.requests import Request


def body(request: Request) -> bytes:
    request._json = None
    aiokafka.client.create_conn = None
    setattr(Request, "body", body)
    return getattr(request, "_body")
"""
FINDINGS = [
    "imports pydantic._internal",
    "imports starlette._utils",
    "uses request._json",
    "changes aiokafka.client.create_conn",
    "changes setattr(Request, 'body', body)",
    "uses getattr(request, '_body')",
]
HARMLESS = """
import os
from collections import namedtuple

from reportlab import rl_config

from sample.base import Base


class Own(Base):
    def __init__(self, other: "Own") -> None:
        self._other = other._other
        self._of_base()
        rl_config.useA85 = 0


def end() -> None:
    os._exit(1)
"""


def test_no_private_name_is_used_outside_internals() -> None:
    assert private_names(ROOT, "libs", "services", "deploy") == []


def test_each_way_to_use_a_private_name_is_found(tmp_path: Path) -> None:
    write_tree(tmp_path, {"services/sample/sample/routes.py": BREACHES})
    found = private_names(tmp_path, "services")
    assert sorted(finding.partition(": ")[2] for finding in found) == sorted(FINDINGS)


def test_internals_may_use_private_names_and_everybody_their_own(tmp_path: Path) -> None:
    write_tree(
        tmp_path,
        {
            "libs/common/common/internals/starlette.py": BREACHES,
            "services/sample/sample/domain.py": HARMLESS,
            "services/sample/sample/base.py": "class Base:\n    def _of_base(self) -> None: ...\n",
        },
    )
    assert private_names(tmp_path) == []
